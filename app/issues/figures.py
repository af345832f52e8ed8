"""Figures of issues in a range of time: events, users, the trend, and the events before.

    with store.read() as conn:
        figures = figures_of(conn, [row.id for row in page.rows], chosen)

    figures[issue_id].events, figures[issue_id].users, figures[issue_id].trend

They are of all environments. Events are counted by the hour, and by the day if the range begins
more than eight days ago (:mod:`.over_time`): a range then has whole days. Users are exact in a
range that goes on until now. In one that ended before, a user of days before and after it may be
counted too; the number is then not exact. Counts end at MAX_USERS.

A page of a list has four questions at most, however many issues it has, and reads at most
MAX_BUCKETS numbers for each issue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, and_, bindparam, case, func, literal_column, select

from app.inputs import Range
from app.issues.tables import issue_days, issue_hours, issues
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE, MAX_USERS
from app.stats.windows import (
    FOREVER,
    HOURS_A_DAY,
    Counted,
    Window,
    hour_number,
    moment_of_hour,
    window_of,
)
from app.store import DriverStatement
from app.store.driver import is_in

NOBODY = (0, True)
LAST_MOMENT = datetime(9999, 1, 1, tzinfo=UTC)


class Figures(NamedTuple):
    """The figures of an issue in a range.

    :param users_are_exact: whether ``users`` is exact, up to MAX_USERS.
    :param trend: events of the range in at most MAX_BUCKETS steps of equal length, oldest first.
    :param before: events of the range before; ``None`` if they are not known.
    """

    events: int
    users: int
    users_are_exact: bool
    trend: tuple[int, ...]
    before: int | None


class Whole(NamedTuple):
    """An issue as a whole.

    :param is_within: whether the range has all of its events.
    """

    id: int
    events: int
    users: int
    is_within: bool

    @classmethod
    def of(cls, issue: Any, window: Window) -> Whole:
        """Return what a row of an issue says of it."""
        first, end = moments_of(window)
        is_within = first <= issue.first_seen and issue.last_seen < end
        return cls(issue.id, issue.times_seen, issue.users, is_within)


def figures_of(
    conn: Connection, issue_ids: Sequence[int], range: Range, *, with_before: bool = False
) -> dict[int, Figures]:
    """Return the figures of each issue in a range.

    :param issue_ids: at most 1,000.
    :param with_before: whether the events of the range before are read too.
    """
    if not issue_ids:
        return {}
    window = window_of(range) if with_before else window_of(range).without_before()
    counts = COUNTED.counts(conn, issue_ids, window)
    has_before = window.begin < window.first
    wholes = whole_issues(conn, issue_ids, window)
    users = users_of(conn, [one for one in wholes.values() if counts.get(one.id)], window)
    found = {}
    for issue_id in issue_ids:
        of_issue = counts.get(issue_id) or [0] * (window.skipped + window.buckets)
        trend = tuple(of_issue[window.skipped :])
        before = sum(of_issue[: window.skipped]) if has_before else None
        found[issue_id] = Figures(sum(trend), *users.get(issue_id, NOBODY), trend, before)
        if range.is_all and (whole := wholes.get(issue_id)):
            found[issue_id] = Figures(whole.events, whole.users, True, trend, before)
    return found


def hours_of(conn: Connection, issue_ids: Sequence[int], now: datetime) -> dict[int, list[int]]:
    """Return the events of each issue in each of the last 24 hours, oldest first."""
    last = hour_number(now)
    first = last - HOURS_A_DAY + 1
    window = Window(first, first, last + 1, True, first, 1, HOURS_A_DAY)
    counts = COUNTED.counts(conn, issue_ids, window) if issue_ids else {}
    return {issue_id: counts.get(issue_id) or [0] * HOURS_A_DAY for issue_id in issue_ids}


def whole_issues(conn: Connection, issue_ids: Sequence[int], window: Window) -> dict[int, Whole]:
    """Return what is counted of issues in all."""
    first, end = moments_of(window)
    rows = _WHOLE.fetch(conn, {"ids": list(issue_ids), "first": first, "end": end})
    return {
        issue_id: Whole(issue_id, events, users, bool(is_within))
        for issue_id, events, users, is_within in rows
    }


def moments_of(window: Window) -> tuple[datetime, datetime]:
    """Return when a window begins, and when it ends; an open one ends never."""
    end = LAST_MOMENT if window.is_open else moment_of_hour(window.end)
    return moment_of_hour(window.first), end


def users_of(
    conn: Connection, wholes: Iterable[Whole], window: Window
) -> dict[int, tuple[int, bool]]:
    """Return the users of issues in a window, and whether that is exact; without those with 0."""
    some = [one for one in wholes if one.users]
    found = {one.id: (one.users, True) for one in some if one.is_within}
    others = {one.id: one for one in some if not one.is_within}
    end = FOREVER if window.is_open else window.end
    given = {"first": window.first, "end_day": -(-end // HOURS_A_DAY)}
    for issue_id, users in _MET.fetch(conn, {"ids": list(others), **given}):
        found[issue_id] = users, True
    unsure = [n for n, one in others.items() if not _is_sure(one, window)]
    given = {"first_day": window.first // HOURS_A_DAY, "end_day": given["end_day"]}
    for issue_id, users in _BY_DAYS.fetch(conn, {"ids": unsure, **given}):
        met = found.get(issue_id, NOBODY)[0]
        found[issue_id] = users_in(others[issue_id], met, int(users), window)
    return found


def users_in(whole: Whole, met: int, by_days: int | None, window: Window) -> tuple[int, bool]:
    """Return the users of an issue in a window, and whether that is exact.

    :param met: its stored users who were met in the window or around it.
    :param by_days: the sum of the users of its days in the window.
    """
    if whole.is_within:
        return whole.users, True
    if by_days is None or _is_sure(whole, window):
        return met, True
    # Both may have too many: a user of two days is counted twice, or is of other days alone.
    users = max(met, by_days) if window.is_open else min(met, by_days)
    return min(users, MAX_USERS), False


def _is_sure(whole: Whole, window: Window) -> bool:
    """Return whether the stored users are all there were in the window."""
    # Of an issue with so many users, only those of today are stored.
    return window.is_open and whole.users < MAX_USERS


def _whole(dialect: str, size: int) -> Any:
    columns, moment = issues.c, issues.c.first_seen.type
    is_within = and_(
        columns.first_seen >= bindparam("first", type_=moment),
        columns.last_seen < bindparam("end", type_=moment),
    )
    flag = case((is_within, 1), else_=0)
    of_issue = columns.id, columns.times_seen, columns.users, flag
    return select(*of_issue).where(is_in(columns.id, "ids", size))


def _met(dialect: str, size: int) -> Any:
    columns = affected_users.c
    of_issues = columns.kind == literal_column(str(ISSUE)), is_in(columns.of_id, "ids", size)
    return (
        select(columns.of_id, func.count())
        .where(
            *of_issues,
            columns.last_hour >= bindparam("first", type_=Integer),
            columns.first_day < bindparam("end_day", type_=Integer),
        )
        .group_by(columns.of_id)
    )


def _by_days(dialect: str, size: int) -> Any:
    columns = affected_days.c
    of_issues = columns.kind == literal_column(str(ISSUE)), is_in(columns.of_id, "ids", size)
    return (
        select(columns.of_id, func.sum(columns.users))
        .where(
            *of_issues,
            columns.day >= bindparam("first_day", type_=Integer),
            columns.day < bindparam("end_day", type_=Integer),
        )
        .group_by(columns.of_id)
    )


COUNTED = Counted(issue_hours, issue_days)
_WHOLE = DriverStatement(_whole, takes="ids")
_MET, _BY_DAYS = DriverStatement(_met, takes="ids"), DriverStatement(_by_days, takes="ids")
