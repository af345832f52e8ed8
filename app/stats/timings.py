"""How long requests and transactions took and how many failed, counted by the minute.

A **series** (:mod:`.series`) is what a project calls a transaction, in one release and environment,
on one day. It has a row for each minute and bucket of durations (:mod:`.buckets`), so
that any number of processes, minutes and series add up by SUM.

Bounded whatever clients send: a day takes MAX_SERIES of a project; what is beyond them is counted
as one transaction, OTHER. Clocks of clients make no minutes: it is the door's that counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from app.protocol.transaction import Timing
from app.stats.buckets import bucket_of
from app.stats.series import MINUTES_KEPT, OTHER, SeriesCounter, adding, day_of, kept_minute
from app.stats.tables import timing_series, timings

# Some 120 routes in four releases and two environments fill half of it.
MAX_SERIES = 2000


# A row's series, minute and bucket.
RowKey = tuple[int, int, int]


class Series(NamedTuple):
    """What a series is alone with."""

    project_id: int
    day: date
    transaction: str
    release: str
    environment: str


class TimedRequest(NamedTuple):
    """What a count of requests is alone with."""

    project_id: int
    transaction: str
    release: str
    environment: str
    minute: int
    bucket: int
    failed: bool

    @property
    def series(self) -> Series:
        """The series that it is counted in."""
        names = self.transaction, self.release, self.environment
        return Series(self.project_id, day_of(self.minute), *names)


def timed(project_id: int, timing: Timing, minute: int) -> TimedRequest:
    """Return what a transaction counts as, that came in this minute."""
    names = timing.transaction, timing.release, timing.environment
    return TimedRequest(project_id, *names, minute, bucket_of(timing.ms), timing.failed)


class TimingCounter:
    """Counts into the rows of one store."""

    def __init__(self) -> None:
        self._series = SeriesCounter(timing_series, Series, lambda: MAX_SERIES, _other)

    def add(self, conn: Connection, counts: Counter[TimedRequest]) -> None:
        """Add to what was counted; the caller commits."""
        if not counts:
            return
        series = {timing: timing.series for timing in counts}
        ids = self._series.ids(conn, set(series.values()))
        rows: dict[RowKey, tuple[int, int]] = {}
        for timing, count in counts.items():
            key = ids[series[timing]], timing.minute, timing.bucket
            requests, failures = rows.get(key, (0, 0))
            rows[key] = requests + count, failures + (count if timing.failed else 0)
        add_rows(conn, rows)


def kept_rows(counts: Counter[TimedRequest], now: datetime) -> Counter[TimedRequest]:
    """Return counts by the minutes that they are kept in, see :func:`.series.kept_minute`."""
    rows: Counter[TimedRequest] = Counter()
    for timing, count in counts.items():
        rows[timing._replace(minute=kept_minute(timing.minute, now, MINUTES_KEPT))] += count
    return rows


def _other(series: Series) -> Series:
    return Series(series.project_id, series.day, OTHER, "", "")


def add_rows(conn: Connection, rows: Mapping[RowKey, tuple[int, int]]) -> None:
    """Add requests and failures to rows, made where they are new."""
    names = "series_id", "minute", "bucket", "requests", "failures"
    values = [
        dict(zip(names, (*key, *counts), strict=True)) for key, counts in sorted(rows.items())
    ]
    conn.execute(adding(conn.dialect.name, timings), values)
