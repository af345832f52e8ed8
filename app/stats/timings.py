"""Durations and failures of requests and transactions, counted by the minute and bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Integer

from app.protocol.transaction import Timing
from app.stats.additive import ENVIRONMENT, OTHER, RELEASE, AdditiveSeries, Counts, Key, Sample
from app.stats.buckets import bucket_of

TIMINGS = Counts("timings", {"requests": Integer, "failures": Integer}, buckets=True)


def _read(timing: Timing, at: float) -> Iterator[Sample]:
    names = timing.transaction, timing.release, timing.environment
    yield Sample(TIMINGS, names, (1, int(timing.failed)), (bucket_of(timing.ms),))


PERFORMANCE = AdditiveSeries(
    "timing_series",
    keys=(Key("transaction", 200, beyond=OTHER), RELEASE, ENVIRONMENT),
    counts=(TIMINGS,),
    # About 120 routes in four releases and two environments use half of this limit.
    max_series=2000,
    minutes_kept=timedelta(days=2),
    measure="timings",
    item_type="transaction",
    read=_read,
)
timing_series, timings = PERFORMANCE.table, TIMINGS.table
