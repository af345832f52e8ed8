"""Ranges of time as whole hours, and the counts of their hours and days.

A table of hours has a row for an id and an hour, and a table of days a row for an id and a day. Old
hours are summed up to days; a count is in one of both. Hours and days are in UTC, numbered since
1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    Select,
    Table,
    bindparam,
    cast,
    func,
    select,
    union_all,
)

from app.inputs.period import DAY_S, DAYS_KEPT, HOUR_S, HOURS_KEPT, Range, floor
from app.store import DriverStatement
from app.store.driver import is_in

HOURS_A_DAY = DAY_S // HOUR_S
# The most bars of a trend: a month by the day, and a week by six hours.
MAX_BUCKETS = 31
FOREVER = 2**31 - 1


class Window(NamedTuple):
    """A range as whole hours since 1970, cut into buckets.

    :param first: the first hour of the range; the range before is read from ``begin`` on.
    :param end: the first hour after the range.
    :param is_open: whether the range goes on until now.
    :param kept_from: the first hour that is not summed up to a day.
    :param width: the hours of a bucket.
    :param buckets: how many buckets the range has.
    """

    begin: int
    first: int
    end: int
    is_open: bool
    kept_from: int
    width: int
    buckets: int

    @property
    def origin(self) -> int:
        """The first hour of the first bucket; those of the range before come first."""
        return self.first - -(-(self.first - self.begin) // self.width) * self.width

    @property
    def skipped(self) -> int:
        """How many buckets belong to the range before."""
        return (self.first - self.origin) // self.width

    def without_before(self) -> Window:
        """Return the window without the range before."""
        return self._replace(begin=self.first)

    def place(self, counts: list[int], bucket: int, count: int) -> None:
        """Add a count to its bucket. A clock that is fast has counts after the last bucket: they
        are in the last one.
        """
        counts[min(bucket, len(counts) - 1)] += count


def window_of(range: Range, step_s: int = 0) -> Window:
    """Return a range as hours, with the range before it if anything of that is known.

    :param step_s: the length of a bucket, in seconds; by default there are at most MAX_BUCKETS.
    """
    step = range.step_s // HOUR_S
    start = range.start or floor(range.now - DAYS_KEPT, DAY_S)
    first = hour_number(start) // step * step
    end = -(-int(range.until.timestamp()) // (step * HOUR_S)) * step
    end = max(end, first + step)
    width = step_s // HOUR_S or -(-(end - first) // step // MAX_BUCKETS) * step
    begin = first
    before = range.before()
    if before is not None and before.start is not None:
        begin = _nearest(before.start, before.step_s)
    kept_from, buckets = first_hour_kept(range.now), -(-(end - first) // width)
    return Window(begin, first, end, range.end is None, kept_from, width, buckets)


def _nearest(start: datetime, step_s: int) -> int:
    """Return the first hour of the range before. Of days, it is the nearest one."""
    hour, day = hour_number(start), HOURS_A_DAY
    return hour if step_s == HOUR_S else (hour + day // 2) // day * day


def hour_number(moment: datetime) -> int:
    """Return the hour of a moment, counted since 1970."""
    return int(moment.timestamp()) // HOUR_S


def moment_of_hour(hour: int) -> datetime:
    """Return the beginning of an hour that is counted since 1970."""
    return datetime.fromtimestamp(hour * HOUR_S, UTC)


def first_hour_kept(now: datetime) -> int:
    """Return the first hour that is not summed up to a day: a day is summed up as a whole."""
    return hour_number(now - HOURS_KEPT) // HOURS_A_DAY * HOURS_A_DAY


def hour_of(dialect: str, moment: Column[Any]) -> Any:
    """Return an SQL expression for the hour of a moment, counted since 1970."""
    if dialect == "sqlite":
        return cast(func.strftime("%s", moment), Integer) // HOUR_S
    return cast(func.floor(func.extract("epoch", moment) / HOUR_S), Integer)


class Counted:
    """The hours and days of ids: of issues, or of environments.

    :param hours: a table of hours, with its id as the first column.
    :param days: the table of the days.
    """

    def __init__(self, hours: Table, days: Table) -> None:
        self._hours, self._days = hours, days

    @cached_property
    def _statements(self) -> dict[tuple[bool, bool], DriverStatement]:
        shapes = [
            (is_hourly, has_days) for is_hourly in (True, False) for has_days in (True, False)
        ]
        return {
            shape: DriverStatement(partial(self._all_of, shape), takes="ids") for shape in shapes
        }

    def counts(self, conn: Connection, ids: Sequence[int], window: Window) -> dict[int, list[int]]:
        """Return the events of each bucket of a window, by id; those of the range before are first.

        Ids without events are left out.
        """
        given = {"ids": list(ids), **self.values(window)}
        return placed(self._statements[self.shape(window)].fetch(conn, given), window)

    def shape(self, window: Window) -> tuple[bool, bool]:
        """Return whether a bucket is an hour, and whether days are read too."""
        return window.width == 1, window.begin < window.kept_from

    def values(self, window: Window) -> dict[str, int]:
        """Return the parameters of :meth:`queries`."""
        end = FOREVER if window.is_open else window.end
        days = {"begin_day": -(-window.begin // HOURS_A_DAY), "end_day": -(-end // HOURS_A_DAY)}
        return {
            "width": window.width,
            "origin": window.origin,
            "begin": window.begin,
            "end": end,
        } | days

    def queries(self, shape: tuple[bool, bool], size: int) -> list[Select[Any]]:
        """Return queries for an id, a bucket and its events.

        :param size: the number of ids.
        """
        (number, hour), (of_day, day) = list(self._hours.c)[:2], list(self._days.c)[:2]
        by_hour = _rows(number, hour, hour, self._hours.c.events, size, ("begin", "end"))
        # Most issues have events in a few of the hours: summing up in Python costs less than
        # sorting.
        is_hourly, has_days = shape
        found = [by_hour if is_hourly else _buckets(by_hour)]
        if has_days:
            ends = "begin_day", "end_day"
            by_day = _rows(of_day, day, day * HOURS_A_DAY, self._days.c.events, size, ends)
            found.append(_buckets(by_day))
        return found

    def _all_of(self, shape: tuple[bool, bool], dialect: str, size: int) -> Any:
        return union_all(*self.queries(shape, size))


def placed(rows: Iterable[tuple[Any, ...]], window: Window) -> dict[int, list[int]]:
    """Return the events of each bucket, by id.

    :param rows: of :meth:`Counted.queries`.
    """
    found: dict[int, list[int]] = {}
    length = window.skipped + window.buckets
    for number, bucket, events in rows:
        window.place(found.setdefault(number, [0] * length), bucket, int(events))
    return found


def _rows(
    number: Any, time: Any, hour: Any, events: Any, size: int, ends: tuple[str, str]
) -> Select[Any]:
    """Return a query for rows with their bucket.

    :param time: the column of the hour or the day.
    :param hour: the hour of a row.
    :param ends: the names of the parameters for the first time, and the first one after the window.
    """
    begin, end = (bindparam(name, type_=Integer) for name in ends)
    bucket = (hour - bindparam("origin", type_=Integer)) // bindparam("width", type_=Integer)
    return select(number.label("number"), bucket.label("bucket"), events).where(
        is_in(number, "ids", size),
        time >= begin,
        time < end,
    )


def _buckets(rows: Select[Any]) -> Select[Any]:
    """Return a query for the sums of buckets."""
    # The bucket is named in a subquery: PostgreSQL takes the parameters of an expression in SELECT
    # and of the same one in GROUP BY for different values.
    of = rows.subquery().c
    return select(of.number, of.bucket, func.sum(of.events)).group_by(of.number, of.bucket)
