"""Custom metrics, counted by the minute.

A **series** (:mod:`.series`) is a metric (name, type, unit) in one release and environment, on one
day. Each minute in which it had values is a row: how many, their sum, the least, the most, the
last. Those of a distribution are counted by bucket (:mod:`.buckets`), too. All of it adds up over
processes, minutes and series.

Bounded whatever clients send: a day takes MAX_SERIES of a project; what is beyond them is counted
as one metric of each type, OTHER. Clocks of clients make no minutes: it is the door's that counts.
They only tell which of a gauge's values is the last, and cannot be ahead of the door's for that.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, case

from app.protocol.metrics import DISTRIBUTION, Metric
from app.stats.buckets import value_bucket_of
from app.stats.series import OTHER, SeriesCounter, day_of, minute_of
from app.stats.tables import metric_buckets, metric_points, metric_series
from app.store import insert_for

# Some 250 metrics in four releases and two environments.
MAX_SERIES = 2000


# A row's series and minute, and its bucket where it has one.
Place = tuple[int, ...]


class MetricSeries(NamedTuple):
    """What a series is alone with."""

    project_id: int
    day: date
    name: str
    type: str
    unit: str
    release: str
    environment: str


class Point(NamedTuple):
    """Values of some time, put together; ``last_at`` is in seconds since 1970."""

    quantity: int
    sum: float
    least: float
    most: float
    last: float
    last_at: float

    def plus(self, other: Point) -> Point:
        """Return both together; of two last ones of the same moment the other's counts."""
        newer = other if other.last_at >= self.last_at else self
        return Point(
            self.quantity + other.quantity,
            self.sum + other.sum,
            min(self.least, other.least),
            max(self.most, other.most),
            newer.last,
            newer.last_at,
        )


class MetricSample(NamedTuple):
    """A metric that came in."""

    project_id: int
    received_at: datetime
    metric: Metric

    @property
    def minute(self) -> int:
        """The minute that its values count in."""
        return minute_of(self.received_at)

    @property
    def series(self) -> MetricSeries:
        """The series that its values count in."""
        return MetricSeries(self.project_id, day_of(self.minute), *self.metric.key)

    @property
    def point(self) -> Point:
        """Its values, put together."""
        values, at = self.metric.values, self.received_at.timestamp()
        return Point(
            len(values),
            math.fsum(values),
            min(values),
            max(values),
            self.metric.last,
            min(self.metric.last_at, at),
        )


class MetricCounter:
    """Counts into the rows of one store."""

    def __init__(self) -> None:
        self._series = SeriesCounter(metric_series, MetricSeries, lambda: MAX_SERIES, _other)

    def add(self, conn: Connection, sent: Iterable[MetricSample]) -> None:
        """Add what came in to what was counted; the caller commits."""
        series = [(sample, sample.series) for sample in sent]
        if not series:
            return
        ids = self._series.ids(conn, {key for _, key in series})
        points: dict[Place, Point] = {}
        buckets: Counter[Place] = Counter()
        for sample, key in series:
            place: Place = (ids[key], sample.minute)
            points[place] = points[place].plus(sample.point) if place in points else sample.point
            if key.type == DISTRIBUTION:
                for bucket, count in Counter(map(value_bucket_of, sample.metric.values)).items():
                    buckets[(*place, bucket)] += count
        _add(conn, metric_points, points)
        _add(conn, metric_buckets, {place: (count,) for place, count in buckets.items()})


def _other(series: MetricSeries) -> MetricSeries:
    return series._replace(name=OTHER, unit="", release="", environment="")


def _add(conn: Connection, table: Table, rows: Mapping[Place, tuple[float, ...]]) -> None:
    names = table.c.keys()
    values = [dict(zip(names, (*key, *row), strict=True)) for key, row in sorted(rows.items())]
    if values:
        conn.execute(_addition(conn.dialect.name, table), values)


def add_on_conflict(
    table: Table, dialect: str, rows: Callable[[Any], Any] = lambda insert: insert
) -> Any:
    """Return an INSERT into one of the tables of rows that adds to those that are there.

    :param rows: puts them into the statement; by default they are its parameters.
    """
    statement = rows(insert_for(dialect, table))
    old, new = table.c, statement.excluded
    added = {name: old[name] + new[name] for name in ("quantity", "sum") if name in old}
    if table is metric_points:
        is_newer = new.last_at >= old.last_at
        added |= {
            "least": case((new.least < old.least, new.least), else_=old.least),
            "most": case((new.most > old.most, new.most), else_=old.most),
            "last": case((is_newer, new.last), else_=old.last),
            "last_at": case((is_newer, new.last_at), else_=old.last_at),
        }
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(index_elements=keys, set_=added)


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _addition(dialect: str, table: Table) -> Any:
    return add_on_conflict(table, dialect)
