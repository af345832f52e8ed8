"""Queries for issues: pages of a list, a single issue, its history and its tags.

Every query reads a bounded number of rows by an index, whatever the store holds. The exception is a
filter that has to check each issue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Row, Select, bindparam, func, select

from app.issues.filter import IssueFilter, IssueSelection
from app.issues.tables import (
    MERGED,
    STATUSES,
    issue_tags,
    issues,
    remembered_fixes,
    transitions,
)
from app.store import DriverStatement
from app.store.paging import (
    Count,
    Key,
    Page,
    count_rows,
    hidden,
    is_small,
    key_of,
    read_page,
)

MAX_ROW_NUMBER = 2**63
MAX_COUNT = 2**31

Cursor = tuple[datetime | int, int]

EVERYTHING = IssueFilter()


class TagShare(NamedTuple):
    """A value of a tag; ``share`` is its part, from 0 to 1, of the events that have the tag."""

    value: str
    times_seen: int
    share: float


class Tag(NamedTuple):
    """A tag of an issue.

    :param times_seen: the number of events that have the tag.
    :param values: the most frequent values, the most frequent value first.
    :param rest: the events with any other value; ``None`` if there are no such events.
    """

    key: str
    times_seen: int
    values: list[TagShare]
    rest: TagShare | None

    @property
    def is_single(self) -> bool:
        """Whether every event that has the tag has the same value."""
        return self.rest is None and len(self.values) == 1


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
    """Return a page of issue rows, those with the largest ``sort`` value first.

    :param sort: one of :data:`~app.issues.filter.SORTS`.
    :param after: the end of the previous page, as :func:`read_cursor` returns it.
    """
    filter = filter.resolved(conn)
    if not filter.statuses:
        return Page([], None)
    # An index can end early for one status only, so the pages of all statuses are merged here.
    pages = [
        read_page(conn, select(issues), filter.listing(status, sort), after=after, limit=limit)
        for status in filter.statuses
    ]
    if len(pages) == 1:
        page = pages[0]
        return page._replace(is_cut=page.is_cut and len(page.rows) < limit)
    key = filter.listing(STATUSES[0], sort)
    # After the first of these ends, a status may have issues that were not read.
    ends = [page.next for page in pages if page.next is not None]
    end = max(ends, default=None)
    found = sorted((row for page in pages for row in page.rows), key=lambda row: key_of(row, key))
    rows = [row for row in reversed(found) if end is None or key_of(row, key) >= end]
    if len(rows) > limit:
        return Page(rows[:limit], key_of(rows[limit - 1], key))
    return Page(rows, end, is_cut=end is not None and len(rows) < limit)


def cursor_of(end: Key) -> str:
    """Return the end of a page, its ``next``, as text for the URL of the next page."""
    value, issue_id = end
    return f"{value.isoformat() if isinstance(value, datetime) else value}~{issue_id}"


def read_cursor(cursor: str, sort: str = "last_seen") -> Cursor:
    """Return the cursor from a text of :func:`cursor_of`, for the same ``sort``.

    :raise ValueError: the text is not such a cursor.
    """
    text, _, issue_id = cursor.partition("~")
    value = _moment(text) if sort in ("last_seen", "first_seen") else int(text)
    number = int(issue_id)
    least = 1 - MAX_COUNT if sort == "trend" else 0
    is_wrong = isinstance(value, int) and not least <= value < MAX_COUNT
    if not 0 < number < MAX_ROW_NUMBER or is_wrong:
        raise ValueError("no cursor of ours")
    return value, number


def find_issue(conn: Connection, issue_id: int) -> Row[Any] | None:
    """Return an issue, or the issue that it was merged into; ``None`` when it does not exist."""
    if not 0 < issue_id < MAX_ROW_NUMBER:
        return None
    row = conn.execute(select(issues).where(issues.c.id == issue_id)).first()
    if row is not None and row.status == MERGED:
        row = conn.execute(select(issues).where(issues.c.id == row.merged_into)).first()
    return row if row is not None and row.status in STATUSES else None


def count_matching(
    conn: Connection, filter: IssueFilter = EVERYTHING, at_most: int = 10_000
) -> Count:
    """Return how many issues match; stop counting at ``at_most`` for each status."""
    counts = count_by_status(conn, filter, at_most).values()
    return Count(sum(count.number for count in counts), all(count.is_exact for count in counts))


def count_by_status(
    conn: Connection, filter: IssueFilter = EVERYTHING, at_most: int = 1000
) -> dict[str, Count]:
    """Return how many issues match, by status; stop counting at ``at_most`` for each."""
    filter = filter.resolved(conn)
    if not filter.is_indexed:
        return _checked_counts(conn, filter, at_most)
    if not filter.statuses:
        return {}
    since = getattr(filter, "seen_since", None)
    query = _counts(tuple(filter.statuses), filter.project_id is not None, since is not None)
    given = {"at_most": at_most, "project": filter.project_id, "since": since}
    given = {name: value for name, value in given.items() if value is not None}
    found = conn.execute(query, given).one()
    return {
        status: Count(number, number < at_most)
        for status, number in zip(filter.statuses, found, strict=True)
    }


def count_seen_and_all(
    conn: Connection, filter: IssueSelection, at_most: int
) -> tuple[dict[str, Count], dict[str, Count]]:
    """Return the counts of a filter that an index answers, and those whenever issues were seen."""
    given = {"at_most": at_most, "project": filter.project_id, "since": filter.seen_since}
    given = {name: value for name, value in given.items() if value is not None}
    statuses, of_project = tuple(filter.statuses), filter.project_id is not None
    if not statuses:
        return {}, {}
    ((*found,),) = _both_counts(statuses, of_project, filter.seen_since is not None).fetch(
        conn, given
    )
    numbers = [Count(number, number < at_most) for number in found]
    seen, all_ = numbers[: len(statuses)], numbers[len(statuses) :]
    return dict(zip(statuses, seen, strict=True)), dict(zip(statuses, all_, strict=True))


def _checked_counts(conn: Connection, filter: IssueFilter, at_most: int) -> dict[str, Count]:
    """Return the counts of a filter that has to check each issue."""
    has_few = getattr(filter, "ids", None) is not None
    if not has_few and not is_small(conn, issues.c.id):
        return {
            status: count_rows(conn, filter.listing(status), at_most=at_most)
            for status in filter.statuses
        }
    query = filter.apply(select(issues.c.status, func.count()))
    known = hidden(issues.c.status).in_(STATUSES)
    found = {row[0]: row[1] for row in conn.execute(query.where(known).group_by(issues.c.status))}
    numbers = {status: int(found.get(status, 0)) for status in filter.statuses}
    return {s: Count(min(number, at_most), number < at_most) for s, number in numbers.items()}


@cache
def _both_counts(statuses: tuple[str, ...], of_project: bool, since: bool) -> DriverStatement:
    def query(_dialect: str) -> Select[Any]:
        seen, whenever = (_count_columns(statuses, of_project, each) for each in (since, False))
        return select(*seen, *whenever)

    return DriverStatement(query)


@cache
def _counts(statuses: tuple[str, ...], of_project: bool, since: bool) -> Select[Any]:
    return select(*_count_columns(statuses, of_project, since))


def _count_columns(statuses: tuple[str, ...], of_project: bool, since: bool) -> list[Any]:
    counts = []
    for status in statuses:
        some = select(issues.c.id).where(issues.c.status == status)
        if of_project:
            some = some.where(issues.c.project_id == bindparam("project"))
        if since:
            some = some.where(issues.c.last_seen >= bindparam("since"))
        some = some.limit(bindparam("at_most", type_=Integer))
        counts.append(select(func.count()).select_from(some.subquery()).scalar_subquery())
    return counts


def tags_of(conn: Connection, issue_id: int, top: int = 5) -> list[Tag]:
    """Return an issue's tags by name, each with its ``top`` most frequent values."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in _RANKED_TAGS.fetch(conn, {"issue": issue_id, "top": top}):
        found.setdefault(row[0], []).append(row[1:])
    return [_tag(key, int(rows[0][2]), rows) for key, rows in found.items()]


def _ranked_tags(dialect: str) -> Select[Any]:
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
                # The empty value stands for many values, so it comes last.
                order_by=((columns.value == "").asc(), columns.times_seen.desc(), columns.value),
            )
            .label("rank"),
        )
        .where(columns.issue_id == bindparam("issue"))
        .subquery()
    )
    is_shown = ranked.c.rank <= bindparam("top")
    of = ranked.c
    return (
        select(of.key, of.value, of.times_seen, of.total)
        .where(is_shown)
        .order_by(ranked.c.key, ranked.c.rank)
    )


_RANKED_TAGS = DriverStatement(_ranked_tags)


def transitions_of(
    conn: Connection, issue_id: int, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return the history rows of an issue, newest first, each with ``is_fix``.

    :param before: the last row id of the previous page; the page begins after it.
    """
    query = _with_fixes().where(transitions.c.issue_id == issue_id)
    if before is not None:
        query = query.where(transitions.c.id < before)
    return list(conn.execute(query.order_by(transitions.c.id.desc()).limit(limit)))


def find_transition(conn: Connection, transition_id: int) -> Row[Any]:
    """Return an existing history row by its id.

    :raise NoResultFound: there is no such row.
    """
    return conn.execute(_with_fixes().where(transitions.c.id == transition_id)).one()


def _with_fixes() -> Select[Any]:
    """Return the query for history rows, each with ``is_fix``."""
    fix = remembered_fixes.c.comment_id
    query = select(transitions, fix.is_not(None).label("is_fix"))
    return query.outerjoin(remembered_fixes, fix == transitions.c.id)


def _tag(key: str, total: int, rows: list[tuple[Any, ...]]) -> Tag:
    values = [TagShare(value, times, times / total) for value, times, _ in rows if value]
    rest = total - sum(value.times_seen for value in values)
    return Tag(key, total, values, TagShare("", rest, rest / total) if rest else None)


def _moment(text: str) -> datetime:
    try:
        # The "+" of the time zone arrives as a space if the client did not escape it.
        read = datetime.fromisoformat(text.replace(" ", "+"))
        if read.tzinfo is None:
            raise ValueError("no cursor of ours")
        return read.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no cursor of ours") from error
