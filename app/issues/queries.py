"""Reading issues: pages of a list, one, its history, its tags and its hours.

Every question reads a bounded number of rows by an index, whatever the store holds, unless a filter
has to look into each issue.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from app.issues.filter import IssueFilter
from app.issues.tables import MERGED, STATUSES, issue_hours, issue_tags, issues, transitions
from app.store.paging import Count, Key, Page, count_rows, key_of, read_page

MAX_ROW_NUMBER = 2**63
MAX_COUNT = 2**31
HOURS = 24

Cursor = tuple[datetime | int, int]

EVERYTHING = IssueFilter()


class TagShare(NamedTuple):
    """A value of a tag; ``share`` from 0 to 1 of the events that have the tag."""

    value: str
    times_seen: int
    share: float


class Tag(NamedTuple):
    """A tag of an issue.

    :param values: the most frequent ones, the first of them first.
    :param rest: events with any other value, and their share.
    """

    key: str
    times_seen: int
    values: list[TagShare]
    rest: TagShare | None


def list_issues(
    conn: Connection,
    filter: IssueFilter = EVERYTHING,
    *,
    sort: str = "last_seen",
    after: Cursor | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return the issue rows of :func:`page_of_issues`."""
    return page_of_issues(conn, filter, sort=sort, after=after, limit=limit).rows


def page_of_issues(
    conn: Connection,
    filter: IssueFilter = EVERYTHING,
    *,
    sort: str = "last_seen",
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of issue rows, those with the largest ``sort`` first.

    :param sort: one of ``SORTS``.
    :param after: where the page before ended, as :func:`read_cursor` returns it.
    """
    filter = filter.resolved(conn)
    # An index ends early for one status at a time; merged here for all of them.
    pages = [
        read_page(conn, select(issues), filter.listing(status, sort), after=after, limit=limit)
        for status in filter.statuses
    ]
    key = filter.listing(STATUSES[0], sort)
    # Beyond the end that comes first, one of the statuses may still have issues that nobody saw.
    ends = [page.next for page in pages if page.next is not None]
    end = max(ends, default=None)
    found = sorted((row for page in pages for row in page.rows), key=lambda row: key_of(row, key))
    rows = [row for row in reversed(found) if end is None or key_of(row, key) >= end]
    if len(rows) > limit:
        return Page(rows[:limit], key_of(rows[limit - 1], key))
    return Page(rows, end, is_cut=end is not None and len(rows) < limit)


def cursor_of(end: Key) -> str:
    """Return where a page ends, its ``next``, for the address of the next one."""
    value, issue_id = end
    return f"{value.isoformat() if isinstance(value, datetime) else value}~{issue_id}"


def read_cursor(cursor: str, sort: str = "last_seen") -> Cursor:
    """Read what :func:`cursor_of` returned for the same sorting.

    :raise ValueError: it is none of ours.
    """
    text, _, issue_id = cursor.partition("~")
    value = _moment(text) if sort in ("last_seen", "first_seen") else int(text)
    number = int(issue_id)
    if not 0 < number < MAX_ROW_NUMBER or (isinstance(value, int) and not 0 <= value < MAX_COUNT):
        raise ValueError("no cursor of ours")
    return value, number


def find_issue(conn: Connection, issue_id: int) -> Row[Any] | None:
    """Return one issue, or the one that it was merged into; ``None`` when it is not there."""
    if not 0 < issue_id < MAX_ROW_NUMBER:
        return None
    row = conn.execute(select(issues).where(issues.c.id == issue_id)).first()
    if row is not None and row.status == MERGED:
        row = conn.execute(select(issues).where(issues.c.id == row.merged_into)).first()
    return row if row is not None and row.status in STATUSES else None


def count_matching(
    conn: Connection, filter: IssueFilter = EVERYTHING, at_most: int = 10_000
) -> Count:
    """Return how many issues there are, counting no further than ``at_most`` of each status."""
    counts = count_by_status(conn, filter, at_most).values()
    return Count(sum(count.number for count in counts), all(count.is_exact for count in counts))


def count_by_status(
    conn: Connection, filter: IssueFilter = EVERYTHING, at_most: int = 1000
) -> dict[str, Count]:
    """Return how many issues there are of each status, counting no further than ``at_most``."""
    filter = filter.resolved(conn)
    return {
        status: count_rows(conn, filter.listing(status), at_most=at_most)
        for status in filter.statuses
    }


def hours_of(conn: Connection, issue_ids: list[int], now: datetime) -> dict[int, list[int]]:
    """Return the events of each issue in the last 24 hours, an hour each, oldest first."""
    last = now.replace(minute=0, second=0, microsecond=0)
    columns = issue_hours.c
    query = select(columns.issue_id, columns.hour, columns.events).where(
        columns.issue_id.in_(issue_ids), columns.hour > last - timedelta(hours=HOURS)
    )
    hours = {issue_id: [0] * HOURS for issue_id in issue_ids}
    for issue_id, hour, count in conn.execute(query) if issue_ids else ():
        ago = int((last - hour).total_seconds()) // 3600
        if 0 <= ago < HOURS:  # A clock that went back leaves hours that are still to come.
            hours[issue_id][HOURS - 1 - ago] = count
    return hours


def tags_of(conn: Connection, issue_id: int, top: int = 5) -> list[Tag]:
    """Return an issue's tags by name, each with its ``top`` most frequent values."""
    columns = issue_tags.c
    ranked = (
        select(
            columns.key,
            columns.value,
            columns.times_seen,
            func.sum(columns.times_seen).over(partition_by=columns.key).label("total"),
            func.row_number()
            .over(
                partition_by=columns.key,
                # The empty value stands for many, so it is never among the most frequent.
                order_by=((columns.value == "").asc(), columns.times_seen.desc(), columns.value),
            )
            .label("rank"),
        )
        .where(columns.issue_id == issue_id)
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank <= top).order_by(ranked.c.key, ranked.c.rank)
    found: dict[str, list[Row[Any]]] = {}
    for row in conn.execute(query):
        found.setdefault(row.key, []).append(row)
    return [_tag(key, int(rows[0].total), rows) for key, rows in found.items()]


def transitions_of(
    conn: Connection, issue_id: int, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return an issue's history, newest first.

    :param before: the row id after which the page goes on, exclusive.
    """
    query = select(transitions).where(transitions.c.issue_id == issue_id)
    if before is not None:
        query = query.where(transitions.c.id < before)
    return list(conn.execute(query.order_by(transitions.c.id.desc()).limit(limit)))


def find_transition(conn: Connection, transition_id: int) -> Row[Any]:
    """Return a row of some issue's history that is known to be there."""
    return conn.execute(select(transitions).where(transitions.c.id == transition_id)).one()


def _tag(key: str, total: int, rows: list[Row[Any]]) -> Tag:
    values = [
        TagShare(row.value, row.times_seen, row.times_seen / total) for row in rows if row.value
    ]
    rest = total - sum(value.times_seen for value in values)
    return Tag(key, total, values, TagShare("", rest, rest / total) if rest else None)


def _moment(text: str) -> datetime:
    try:
        # A "+" of the time zone arrives as a space when it was not escaped.
        read = datetime.fromisoformat(text.replace(" ", "+"))
        if read.tzinfo is None:
            raise ValueError("no cursor of ours")
        return read.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no cursor of ours") from error
