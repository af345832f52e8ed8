"""Reading issues: pages of a list, one, its history, its tags and its hours.

Every question reads a bounded number of rows by an index, whatever the store holds, unless a filter
has to look into each issue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from app.events.tables import events
from app.issues.tables import MERGED, STATUSES, issue_hours, issue_tags, issues, transitions
from app.projects import projects
from app.protocol.event import clean_text, parse_event_id
from app.protocol.lenient import search_text
from app.store.paging import Count, Key, Listing, Page, count_rows, hidden, key_of, read_page
from app.store.searching import contains

# What a list is sorted by, the largest first.
SORTS = ("last_seen", "first_seen", "times_seen", "users")
MAX_ROW_NUMBER = 2**63
MAX_COUNT = 2**31
HOURS = 24

Cursor = tuple[datetime | int, int]


@dataclass(frozen=True)
class IssueFilter:
    """What a list is narrowed to; ``None`` means whatever.

    :param text: part of title or culprit in any case, or the id of one of its events.
    :param environment: of any of its events; so is ``release``.
    :param transactions: any of its events is of one of these; of those before they were counted,
        the last one.
    :param ids: of the issues themselves.
    """

    status: str | None = None
    project_id: int | None = None
    level: str | None = None
    release: str | None = None
    environment: str | None = None
    text: str | None = None
    transactions: tuple[str, ...] | None = None
    ids: tuple[int, ...] | None = None

    @property
    def statuses(self) -> Sequence[str]:
        """The statuses of the issues that it leaves."""
        return [self.status] if self.status else STATUSES

    def resolved(self, conn: Connection) -> IssueFilter:
        """Return this filter with the id of an event that is there replaced by its issues."""
        event_id = parse_event_id(search_text(self.text))
        if event_id is None:
            return self
        # By project, as the index is.
        of_event = select(events.c.issue_id).where(
            events.c.project_id.in_(select(projects.c.id)), events.c.event_id == event_id
        )
        found = tuple(conn.scalars(of_event))
        return replace(self, text=None, ids=found) if found else self

    def listing(self, status: str, sort: str = "last_seen") -> Listing:
        """Return the list of issues of one status that this filter leaves."""
        columns = issues.c
        along, others = [columns.status == status], self._others()
        if self.ids is not None:
            along.append(columns.id.in_(self.ids))
        if self.project_id is not None and sort == "last_seen":
            along.append(columns.project_id == self.project_id)
        elif self.project_id is not None:
            others.append(hidden(columns.project_id) == self.project_id)
        return Listing([columns[sort], columns.id], along, others)

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return a query over ``issues`` narrowed to this filter, but for its status."""
        conditions = self._others()
        if self.ids is not None:
            conditions.append(issues.c.id.in_(self.ids))
        if self.project_id is not None:
            conditions.append(issues.c.project_id == self.project_id)
        return query.where(*conditions)

    def _others(self) -> list[Any]:
        """Return the conditions that have to look into each issue."""
        found: list[Any] = []
        if self.level is not None:
            found.append(issues.c.level == self.level)
        if self.environment is not None:
            found.append(_has_tag("environment", clean_text(self.environment)))
        if self.release is not None:
            release = clean_text(self.release)
            # The tags may have no place for a release any more that the issue itself still names.
            known = or_(hidden(issues.c.first_release) == release, issues.c.last_release == release)
            found.append(or_(known, _has_tag("release", release)))
        if self.transactions is not None:
            names = [clean_text(name) for name in self.transactions]
            is_last = issues.c.culprit.in_(names)
            found.append(or_(is_last, _has_tag("transaction", *names)))
        text = search_text(self.text)
        return [*found, contains(text, issues.c.title, issues.c.culprit)] if text else found


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

    :param sort: one of :data:`SORTS`.
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


def count_issues(conn: Connection, filter: IssueFilter = EVERYTHING, at_most: int = 10_000) -> int:
    """Return the number of :func:`count_matching`, at least so many."""
    return count_matching(conn, filter, at_most).number


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


def _has_tag(key: str, *values: str) -> Any:
    columns = issue_tags.c
    return exists().where(
        and_(columns.issue_id == issues.c.id, columns.key == key, columns.value.in_(values))
    )


def _moment(text: str) -> datetime:
    try:
        # A "+" of the time zone arrives as a space when it was not escaped.
        read = datetime.fromisoformat(text.replace(" ", "+"))
        if read.tzinfo is None:
            raise ValueError("no cursor of ours")
        return read.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no cursor of ours") from error
