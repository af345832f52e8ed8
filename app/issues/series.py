"""Events and users of an issue over time, for charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from app.events.tables import events
from app.inputs.period import DAY_S, HOUR_S, Range
from app.issues.figures import COUNTED, NOBODY, Whole, events_and_users
from app.stats.tables import affected_days
from app.stats.users import ISSUE, Subject, of_subject
from app.stats.windows import HOURS_A_DAY, Window, hour_of, moment_of_hour, window_of

# The newest events of an issue in which the users of an hour are counted.
MAX_READ = 10_000


class Point(NamedTuple):
    """A step of a series; ``users`` is ``None`` where it is not known."""

    at: datetime
    events: int
    users: int | None


class Series(NamedTuple):
    """The steps of a range, oldest first; each is ``interval_s`` seconds long."""

    interval_s: int
    points: list[Point]
    before: list[int]


class InRange(NamedTuple):
    """An issue in a range.

    :param users_are_exact: whether ``users`` is exact, up to MAX_USERS.
    :param window: the steps of the range.
    :param counts: the events of each step of the window.
    """

    events: int
    users: int
    users_are_exact: bool
    window: Window
    counts: list[int]

    @property
    def series(self) -> Series:
        """Its events over time, with those of the range before; the users are not known."""
        return make_series(self.window, self.counts, None)


def issue_in_range(conn: Connection, issue: Row[Any], range: Range) -> InRange:
    """Return the figures of an issue in a range with its events over time, for a page.

    It asks the store once, and never reads events. The range before a week is left out: its days
    are in another table.

    :param issue: a row of ``issues``.
    """
    window = window_of(range, step_s=range.step_s)
    if window.begin < window.kept_from <= window.first:
        window = window.without_before()
    wholes = {issue.id: Whole.of(issue, window)}
    found, users = events_and_users(conn, [issue.id], wholes, window)
    counts = found.get(issue.id) or [0] * (window.skipped + window.buckets)
    if range.is_all:
        return InRange(issue.times_seen, issue.users, True, window, counts)
    events_ = sum(counts[window.skipped :])
    of_range = users.get(issue.id, NOBODY) if events_ else NOBODY
    return InRange(events_, *of_range, window, counts)


def series_of(conn: Connection, issue_id: int, range: Range) -> Series:
    """Return the events and users of an issue in each hour or day of a range.

    :return: ``before`` has the events of each step of the range before, as far as they are known.
    """
    window = window_of(range, step_s=range.step_s)
    counts = COUNTED.counts(conn, [issue_id], window).get(issue_id)
    counts = counts or [0] * (window.skipped + window.buckets)
    if range.step_s == DAY_S:
        users: dict[int, int] | None = users_by_day(conn, Subject(ISSUE, issue_id))
    else:
        users = users_by_hour(conn, [events.c.issue_id == issue_id], window.first)
    return make_series(window, counts, users)


def make_series(window: Window, counts: list[int], users: dict[int, int] | None) -> Series:
    """Return a series.

    :param counts: the events of each bucket of the window.
    :param users: the users of each bucket by its first hour; ``None`` if they are not known.
    """
    points = []
    for number, events_ in enumerate(counts[window.skipped :]):
        hour = window.first + number * window.width
        of_step = None if users is None else users.get(hour, 0)
        points.append(Point(moment_of_hour(hour), events_, of_step if events_ else 0))
    return Series(window.width * HOUR_S, points, counts[: window.skipped])


def users_by_day(conn: Connection, subject: Subject) -> dict[int, int]:
    """Return the users of each day by the first hour of the day."""
    columns = affected_days.c
    query = select(columns.day, columns.users).where(*of_subject(affected_days, subject))
    return {day * HOURS_A_DAY: users for day, users in conn.execute(query)}


def users_by_hour(conn: Connection, conditions: Sequence[Any], first: int) -> dict[int, int] | None:
    """Return the users of each hour; ``None`` if there are too many events to count them.

    :param conditions: those of the events, of which an index finds the newest.
    :param first: the first hour.
    """
    columns = events.c
    hour = hour_of(conn.dialect.name, columns.timestamp).label("hour")
    newest = select(hour, columns.user_hash).where(*conditions)
    rows = newest.order_by(columns.id.desc()).limit(MAX_READ).subquery()
    if conn.scalar(select(func.count()).select_from(rows)) == MAX_READ:
        return None
    met = select(rows.c.hour, rows.c.user_hash).distinct()
    met = met.where(rows.c.user_hash != "", rows.c.hour >= first)
    return Counter(int(row.hour) for row in conn.execute(met))
