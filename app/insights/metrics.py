"""Custom metrics: their names, and the figures of each in all, by release and over time.

Moments are as in :mod:`.reading`. The main figure of a counter is its sum, of a gauge its last
value, and of a distribution its percentiles, with an error of at most 2.44 %. Every metric also has
the number of values, their average, the smallest and the largest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection, Select, func, select, tuple_

from app.insights import reading
from app.protocol.metrics import DISTRIBUTION, GAUGE
from app.stats.buckets import value_percentiles
from app.stats.metrics import METRICS, POINTS, VALUES, metric_buckets, metric_points, metric_series

SHARES = (0.5, 0.75, 0.95, 0.99)


class MetricName(NamedTuple):
    """The name of one metric. ``unit`` may be empty."""

    name: str
    type: str
    unit: str


@dataclass(frozen=True)
class MetricSelection(reading.Selection):
    """The metrics to read; ``None`` means any."""

    declared: ClassVar = METRICS
    name: str | None = None
    type: str | None = None
    unit: str | None = None
    release: str | None = None
    environment: str | None = None


@dataclass
class MetricFigures:
    """The figures of a metric. Figures can be added up.

    :param last: the newest value, only for gauges; ``None`` if there is no value.
    :param last_at: the moment of the newest value, in seconds since 1970.
    :param buckets: of the values of a distribution.
    """

    count: int = 0
    sum: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    last: float | None = None
    last_at: float = -math.inf
    buckets: Counter[int] = field(default_factory=Counter)

    @property
    def average(self) -> float | None:
        """The sum divided by the count."""
        return self.sum / self.count if self.count else None

    @property
    def percentiles(self) -> list[float | None]:
        """The percentiles for :data:`SHARES`, ``None`` if they are not known."""
        found = value_percentiles(self.buckets, SHARES)
        # The middle of a bucket may lie outside the range of its values. The result never does.
        return [min(max(value, self.least), self.most) for value in found] or [None] * len(SHARES)

    def add(self, other: MetricFigures) -> None:
        """Add the figures of another part."""
        self.count += other.count
        self.sum += other.sum
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        if other.last_at >= self.last_at and other.last is not None:
            self.last, self.last_at = other.last, other.last_at
        self.buckets.update(other.buckets)


class Line(NamedTuple):
    """A line of a list: the figures of one metric, in all and for each step of time."""

    metric: MetricName
    figures: MetricFigures
    steps: list[MetricFigures]


class Detail(NamedTuple):
    """The figures of one metric, or of several metrics together."""

    total: MetricFigures
    steps: list[MetricFigures]
    releases: dict[str, MetricFigures]


def names_of(conn: Connection, selection: MetricSelection) -> list[MetricName]:
    """Return the metrics that had values in the selected time, by name."""
    columns = metric_series.c
    first, end = selection.times
    values = metric_points.c.series_id == columns.id, metric_points.c.minute.between(first, end - 1)
    query = selection.series(columns.name, columns.type, columns.unit).distinct()
    had_any = select(metric_points.c.series_id).where(*values).exists()
    return sorted(MetricName(*row) for row in conn.execute(query.where(had_any)))


def lines_of(
    conn: Connection, selection: MetricSelection, metrics: Sequence[MetricName], step: timedelta
) -> list[Line]:
    """Return the lines of some selected metrics, in order.

    Percentiles are for the whole time, not for its steps.

    :param metrics: should be few.
    """
    of, names = metric_series.c, tuple(metrics)
    chosen = tuple_(of.name, of.type, of.unit).in_(names)
    series = selection.series(of.id, of.name, of.type, of.unit).where(chosen)
    metric_of = {number: MetricName(*name) for number, *name in conn.execute(series)}
    ids = selection.series(of.id).where(chosen)
    lines = {one: Line(one, MetricFigures(), _empty(selection, step)) for one in names}
    for series_id, number, figures in _points(conn, selection, ids, step):
        line = lines[metric_of[series_id]]
        line.figures.add(figures)
        line.steps[number].add(figures)
    for series_id, bucket, quantity in _buckets(conn, selection, ids):
        lines[metric_of[series_id]].figures.buckets[bucket] += quantity
    return [lines[one] for one in names]


def detail_of(conn: Connection, selection: MetricSelection, step: timedelta) -> Detail:
    """Return the figures of the selected metrics, in all, over time and by release."""
    of = metric_series.c
    release_of = {row.id: row.release for row in conn.execute(selection.series(of.id, of.release))}
    found = Detail(MetricFigures(), _empty(selection, step), {})
    ids = selection.series(of.id)

    def parts(series_id: int, number: int) -> tuple[MetricFigures, ...]:
        by_release = found.releases.setdefault(release_of[series_id], MetricFigures())
        return found.total, found.steps[number], by_release

    for series_id, number, figures in _points(conn, selection, ids, step):
        for part in parts(series_id, number):
            part.add(figures)
    for series_id, number, bucket, quantity in _buckets(conn, selection, ids, step):
        for part in parts(series_id, number):
            part.buckets[bucket] += quantity
    return found


# ---- rows ---------------------------------------------------------------------------------------

# A series id, the number of a step, and their figures.
_Row = tuple[int, int, MetricFigures]


def _empty(selection: MetricSelection, step: timedelta) -> list[MetricFigures]:
    return [MetricFigures() for _ in range(selection.steps(step))]


def _points(
    conn: Connection, selection: MetricSelection, ids: Select[Any], step: timedelta
) -> Iterator[_Row]:
    """Yield the figures of each series and step, without buckets."""
    number = selection.step_of(POINTS, step)
    sums = selection.sums(POINTS, metric_points.c.series_id, number, ids=ids)
    newest = _newest(conn, selection, ids, step)
    for series_id, position, quantity, total, least, most, _ in conn.execute(sums):
        last, last_at = newest.get((series_id, position), (None, -math.inf))
        figures = MetricFigures(int(quantity), total, least, most, last, last_at)
        yield series_id, position, figures


def _newest(
    conn: Connection, selection: MetricSelection, ids: Select[Any], step: timedelta
) -> Mapping[tuple[int, int], tuple[float, float]]:
    """Return the last value and its moment of each gauge and step."""
    columns, number = metric_points.c, selection.step_of(POINTS, step)
    rank = func.row_number().over(
        partition_by=(columns.series_id, number),
        order_by=(columns.last_at.desc(), columns.minute.desc()),
    )
    query = select(
        columns.series_id, number.label("number"), columns.last, columns.last_at, rank.label("rank")
    )
    gauges = ids.where(metric_series.c.type == GAUGE)
    query = query.where(columns.series_id.in_(gauges), *selection.of_times(POINTS))
    ranked = query.subquery()
    rows = conn.execute(select(ranked).where(ranked.c.rank == 1))
    return {(row.series_id, row.number): (row.last, row.last_at) for row in rows}


def _buckets(
    conn: Connection,
    selection: MetricSelection,
    ids: Select[Any],
    step: timedelta | None = None,
) -> Iterator[tuple[int, ...]]:
    """Yield series id, number of the step (if there are steps), bucket and its count of values."""
    steps = [selection.step_of(VALUES, step)] if step else []
    distributions = ids.where(metric_series.c.type == DISTRIBUTION)
    sums = selection.sums(VALUES, metric_buckets.c.series_id, *steps, ids=distributions)
    for row in conn.execute(sums):
        yield tuple(int(value) for value in row)
