"""Custom metrics by the minute: the number of values, their sum, the smallest, largest and last.

Values of a distribution are also counted by bucket. The clocks of clients only decide which value
of a gauge is the last. For this, a client's time later than the time received is not accepted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, Double

from app.protocol.metrics import DISTRIBUTION, ITEM_TYPE, Metric
from app.stats.additive import (
    ENVIRONMENT,
    OTHER,
    RELEASE,
    AdditiveSeries,
    Counts,
    Key,
    Sample,
    newest,
)
from app.stats.buckets import value_bucket_of
from app.store import larger, smaller


class Point(NamedTuple):
    """The summary of several values. ``last_at`` is in seconds since 1970."""

    quantity: int
    sum: float
    least: float
    most: float
    last: float
    last_at: float

    def plus(self, other: Point) -> Point:
        """Return the sum of both. If both last values have the same moment, the other's is kept."""
        newer = other if other.last_at >= self.last_at else self
        return Point(
            self.quantity + other.quantity,
            self.sum + other.sum,
            min(self.least, other.least),
            max(self.most, other.most),
            newer.last,
            newer.last_at,
        )


POINTS = Counts(
    "metric_points",
    {
        "quantity": BigInteger,
        "sum": Double,
        "least": (Double, smaller),
        "most": (Double, larger),
        "last": (Double, newest),
        "last_at": (Double, larger),
    },
    merge=Point.plus,
)
VALUES = Counts("metric_buckets", {"quantity": BigInteger}, buckets=True)


def _read(metric: Metric, at: float) -> Iterator[Sample]:
    values, last_at = metric.values, min(metric.last_at, at)
    ends = min(values), max(values)
    point = Point(len(values), math.fsum(values), *ends, metric.last, last_at)
    yield Sample(POINTS, metric.key, point)
    if metric.key.type == DISTRIBUTION:
        for bucket, count in Counter(map(value_bucket_of, values)).items():
            yield Sample(VALUES, metric.key, (count,), (bucket,))


METRICS = AdditiveSeries(
    "metric_series",
    # Metrics beyond the limit are counted as one metric of each type.
    keys=(
        Key("name", 200, beyond=OTHER),
        Key("type", 12, beyond=None),
        Key("unit", 40),
        RELEASE,
        ENVIRONMENT,
    ),
    counts=(POINTS, VALUES),
    # About 250 metrics in four releases and two environments.
    max_series=2000,
    minutes_kept=timedelta(days=2),
    measure="metrics",
    item_type=ITEM_TYPE,
    read=_read,
    # A name with all columns would be too long for PostgreSQL.
    unique_name="uq_metric_series_day",
)
metric_series, metric_points, metric_buckets = METRICS.table, POINTS.table, VALUES.table
