"""Lists of issues by the events or the users that they had in a range.

No index sorts by these figures: the range moves on with the clock. So the candidates are read along
two indexes, CANDIDATES of each: those seen last, and those with the most events (or users) in all.
Their figures are counted and sorted. An issue has at most as many events in a range as in all, so
whatever has more than the last candidate of the second index is at its right place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from app.inputs import Range
from app.issues.figures import Figures, figures_of
from app.issues.filter import IssueFilter, IssueSelection
from app.issues.queries import EVERYTHING
from app.issues.tables import issues
from app.store.paging import Count, count_rows, hidden, read_page

# For each status and index. Their figures cost about as much as a page that has events every hour.
CANDIDATES = 250
# The order by a figure of the range, and the column that bounds this figure.
BOUNDS = {"events": "times_seen", "users": "users", "trend": "times_seen"}

Place = tuple[int, int]


class Ranked(NamedTuple):
    """A page of issues, those with the most events or users in the range first.

    :param figures: of each issue.
    :param next: the figure and the id of the last issue; ``None`` at the end of the list.
    :param is_cut: whether there may be issues that were not compared and belong before the end.
    """

    rows: list[Row[Any]]
    figures: dict[int, Figures]
    next: Place | None
    is_cut: bool


def page_by_figure(
    conn: Connection,
    filter: IssueFilter,
    range: Range,
    sort: str,
    *,
    after: Place | None = None,
    limit: int = 50,
) -> Ranked:
    """Return a page of issues, those with the most events or users in a range first.

    :param sort: a key of :data:`BOUNDS`; ``trend`` is the increase against the range before.
    :param after: the end of the previous page.
    """
    filter = seen_in(filter.resolved(conn), range)
    found, unread = _candidates(conn, filter, BOUNDS[sort])
    figures = figures_of(conn, list(found), range, with_before=sort == "trend")
    places = sorted(((_value(figures[n], sort), n) for n in found), reverse=True)
    # An issue that was seen before and after the range alone has no events in it.
    places = [one for one in places if figures[one[1]].events or range.is_all]
    if after is not None:
        places = [one for one in places if one < after]
    page = places[:limit]
    ids = [issue_id for _, issue_id in page]
    end = page[-1] if len(places) > limit else None
    lowest = page[-1][0] if page else 0
    is_cut = unread is not None and unread > lowest
    return Ranked([found[n] for n in ids], {n: figures[n] for n in ids}, end, is_cut)


def seen_in(filter: IssueFilter, range: Range) -> IssueSelection:
    """Return a filter with the issues that were seen in a range.

    An issue that was seen before a range and after it is among them, although it may have no event
    in the range.
    """
    conditions = filter.conditions if isinstance(filter, IssueSelection) else ()
    if range.end is not None:
        conditions = *conditions, hidden(issues.c.first_seen) < range.end
    return filter.selection(seen_since=range.start, conditions=conditions)


def _value(figures: Figures, sort: str) -> int:
    if sort == "trend":
        return figures.events - (figures.before or 0)
    return figures.users if sort == "users" else figures.events


def _candidates(
    conn: Connection, filter: IssueFilter, bound: str
) -> tuple[dict[int, Row[Any]], int | None]:
    """Return candidates by id, and the most events (or users) that any other issue may have;
    ``None`` if there is no other issue.
    """
    found: dict[int, Row[Any]] = {}
    unread: list[int] = []
    for status in filter.statuses:
        latest = read_page(
            conn,
            select(issues),
            filter.listing(status, "last_seen"),
            after=None,
            limit=CANDIDATES,
        )
        found |= {row.id: row for row in latest.rows}
        if latest.next is None:
            continue  # These are all.
        most = read_page(
            conn, select(issues), filter.listing(status, bound), after=None, limit=CANDIDATES
        )
        found |= {row.id: row for row in most.rows}
        if most.next is not None:
            unread.append(most.next[0])
    return found, max(unread, default=None)


def count_seen(
    conn: Connection, range: Range, filter: IssueFilter = EVERYTHING, at_most: int = 1000
) -> dict[str, Count]:
    """Return how many issues were seen in a range, by status; stop counting at ``at_most``.

    For "36 open, 12 seen this week".
    """
    seen = seen_in(filter.resolved(conn), range)
    return {
        status: count_rows(conn, seen.listing(status), at_most=at_most) for status in seen.statuses
    }
