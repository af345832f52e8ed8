"""AI calls: the newest of each project one by one, and all of them counted by the hour.

A **series** is a project's calls of one kind, operation and model, in one release and environment,
on one day (UTC, of this service's clock). It has a row for each hour and bucket of
durations (:mod:`.buckets`), so that any number of processes, hours and series add up by SUM.

Bounded whatever clients send: a day takes MAX_SERIES of a project; what is beyond them is counted
as one model of its kind, OTHER. Of single calls a project keeps the newest KEPT, and up to some
TRIM_EVERY more for each process that takes them.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, delete, select

from app.protocol.ai_call import AiCall
from app.stats.buckets import bucket_of
from app.stats.series import OTHER, SeriesCounter, adding, day_of, minute_of
from app.stats.tables import ai_calls, ai_hours, ai_series
from app.store import insert_for

# Twenty models in five operations, four releases and two environments fill some of it.
MAX_SERIES = 2000
# Single calls of a project: of a day or two of a busy one, some 4 MB.
KEPT = 10_000
TRIM_EVERY = 1000


SUMS = ("calls", "failures", "input_tokens", "output_tokens", "total_tokens")


class Received(NamedTuple):
    """A call, and when and in what it came."""

    project_id: int
    envelope_uid: str
    received_at: datetime
    call: AiCall


class Series(NamedTuple):
    """What a series is alone with."""

    project_id: int
    day: date
    kind: str
    operation: str
    model: str
    release: str
    environment: str


class _Row(NamedTuple):
    """What a row of counts is alone with."""

    series: Series
    hour: int
    bucket: int


def hour_of(moment: datetime) -> int:
    """Return the hour of a moment, counted since 1970."""
    return minute_of(moment) // 60


class AiCallCounter:
    """Counts into the rows of one store."""

    def __init__(self) -> None:
        self._series = SeriesCounter(ai_series, Series, lambda: MAX_SERIES, _other)
        self._since_trim: Counter[int] = Counter()

    def add(self, conn: Connection, received: Sequence[Received]) -> None:
        """Keep calls and count those that are new; the caller commits.

        One of the same trace and span as one that is kept is none.
        """
        if not received:
            return
        counts: dict[_Row, Counter[str]] = {}
        for call in _kept(conn, received):
            counts.setdefault(_row_of(call), Counter()).update(_amounts(call.call))
        self._count(conn, counts)
        self._trim(conn, received)

    def _count(self, conn: Connection, counts: dict[_Row, Counter[str]]) -> None:
        ids = self._series.ids(conn, {row.series for row in counts})
        sums: dict[tuple[int, int, int], Counter[str]] = {}
        for row, amounts in counts.items():
            # Several series may be one: that of what is beyond the bound.
            sums.setdefault((ids[row.series], row.hour, row.bucket), Counter()).update(amounts)
        values = [
            {**dict(zip(("series_id", "hour", "bucket"), key, strict=True)), **_all(amounts)}
            for key, amounts in sorted(sums.items())
        ]
        if values:
            conn.execute(adding(conn.dialect.name, ai_hours), values)

    def _trim(self, conn: Connection, received: Sequence[Received]) -> None:
        self._since_trim.update(call.project_id for call in received)
        for project_id in {call.project_id for call in received}:
            if self._since_trim[project_id] >= TRIM_EVERY:
                conn.execute(_TRIM, {"of": project_id, "kept": KEPT})
                self._since_trim[project_id] = 0


def _row_of(received: Received) -> _Row:
    call, hour = received.call, hour_of(received.received_at)
    names = call.kind, call.operation, call.model, call.release, call.environment
    series = Series(received.project_id, day_of(hour * 60), *names)
    return _Row(series, hour, bucket_of(call.ms))


def _amounts(call: AiCall) -> dict[str, int]:
    tokens = {f"{name}_tokens": count or 0 for name, count in call.tokens._asdict().items()}
    return {"calls": 1, "failures": int(call.failed), **tokens}


def _all(amounts: Counter[str]) -> dict[str, int]:
    return {name: amounts[name] for name in SUMS}


# ---- single calls -------------------------------------------------------------------------------


def _kept(conn: Connection, received: Sequence[Received]) -> list[Received]:
    """Insert calls and return those that were not there; ones without ids always are new."""
    rows = conn.execute(_call_insert(conn.dialect.name), [_call_row(call) for call in received])
    new = {tuple(row) for row in rows}
    fresh = []
    for call in received:
        key = call.project_id, call.call.trace_id, call.call.span_id
        if None in key or key in new:
            fresh.append(call)
            new.discard(key)
    return fresh


def _call_row(received: Received) -> dict[str, Any]:
    row = received.call._asdict() | received._asdict()
    del row["call"], row["tokens"]
    return row | {f"{name}_tokens": n for name, n in received.call.tokens._asdict().items()}


@functools.cache
def _call_insert(dialect: str) -> Any:
    key = ai_calls.c.project_id, ai_calls.c.trace_id, ai_calls.c.span_id
    statement = insert_for(dialect, ai_calls).on_conflict_do_nothing(index_elements=key)
    return statement.returning(*key)


_OF = bindparam("of", type_=Integer)
_OLDEST_KEPT = (
    select(ai_calls.c.id)
    .where(ai_calls.c.project_id == _OF)
    .order_by(ai_calls.c.id.desc())
    .offset(bindparam("kept", type_=Integer))
    .limit(1)
    .scalar_subquery()
)
_TRIM = delete(ai_calls).where(ai_calls.c.project_id == _OF, ai_calls.c.id <= _OLDEST_KEPT)


# ---- counts -------------------------------------------------------------------------------------


def _other(series: Series) -> Series:
    # Of the same kind, or what models took would not add up any more.
    return Series(series.project_id, series.day, series.kind, OTHER, OTHER, "", "")
