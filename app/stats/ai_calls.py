"""AI calls: the newest calls of each project as single rows, and all calls counted by the hour.

A project keeps its newest KEPT calls. Each process that stores calls may leave up to about
TRIM_EVERY more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, bindparam, delete, select

from app.protocol.ai_call import AiCall
from app.stats.additive import ENVIRONMENT, OTHER, RELEASE, AdditiveSeries, Counts, Key, Sample
from app.stats.buckets import bucket_of
from app.stats.counting import Measured, SeriesCounter
from app.stats.tables import ai_calls
from app.store import DriverStatement, insert_for

# Single calls of a project: one or two days of a busy project, about 4 MB.
KEPT = 10_000
TRIM_EVERY = 1000

CALLS = Counts(
    "ai_hours",
    {
        "calls": Integer,
        "failures": Integer,
        "input_tokens": BigInteger,
        "output_tokens": BigInteger,
        "total_tokens": BigInteger,
    },
    buckets=True,
)


def _read(call: AiCall, at: float) -> Iterator[Sample]:
    names = call.kind, call.operation, call.model, call.release, call.environment
    tokens = (count or 0 for count in call.tokens)
    yield Sample(CALLS, names, (1, int(call.failed), *tokens), (bucket_of(call.ms),))


AI_CALLS = AdditiveSeries(
    "ai_series",
    # Calls beyond the limit keep their kind. Otherwise the sums over models would be wrong.
    keys=(
        Key("kind", 8, beyond=None),
        Key("operation", 64, beyond=OTHER),
        Key("model", 120, beyond=OTHER),
        RELEASE,
        ENVIRONMENT,
    ),
    counts=(CALLS,),
    # Twenty models in five operations, four releases and two environments use part of this limit.
    max_series=2000,
    measure="calls",
    item_type="transaction",
    read=_read,
    unique_name="uq_ai_series",
)
ai_series, ai_hours = AI_CALLS.table, CALLS.table


class AiCallCounter(SeriesCounter):
    """Counts the AI calls of one store, and keeps the newest of them as rows."""

    def __init__(self) -> None:
        super().__init__(AI_CALLS)
        self._since_trim: Counter[int] = Counter()

    def count(self, conn: Connection, stored: Sequence[Measured], now: datetime | None) -> None:
        """Store calls and count the new ones. The caller commits.

        A call with the same trace and span as a stored call is not new.
        """
        with_calls = [one for one in stored if one.measures.calls]
        if with_calls:
            super().count(conn, _kept(conn, with_calls), now)
            self._trim(conn, with_calls)

    def _trim(self, conn: Connection, stored: Sequence[Measured]) -> None:
        for one in stored:
            self._since_trim[one.project_id] += len(one.measures.calls)
        for project_id in {one.project_id for one in stored}:
            if self._since_trim[project_id] >= TRIM_EVERY:
                conn.execute(_TRIM, {"of": project_id, "kept": KEPT})
                self._since_trim[project_id] = 0


def _kept(conn: Connection, stored: Sequence[Measured]) -> list[Measured]:
    """Insert calls and return the new ones. Calls without ids are always new."""
    rows = [_call_row(one, call) for one in stored for call in one.measures.calls]
    new = set(_CALL_INSERT.fetch_each(conn, rows))

    def is_new(project_id: int, call: AiCall) -> bool:
        key = project_id, call.trace_id, call.span_id
        if None in key:
            return True
        found = key in new
        new.discard(key)
        return found

    return [
        one._replace(
            measures=one.measures._replace(
                calls=[call for call in one.measures.calls if is_new(one.project_id, call)]
            )
        )
        for one in stored
    ]


def _call_row(one: Measured, call: AiCall) -> dict[str, Any]:
    row = call._asdict()
    tokens = {f"{name}_tokens": count for name, count in row.pop("tokens")._asdict().items()}
    of = {
        "project_id": one.project_id,
        "envelope_uid": one.uid,
        "received_at": one.received_at,
    }
    return {**row, **tokens, **of}


def _call_insert(dialect: str) -> Any:
    key = ai_calls.c.project_id, ai_calls.c.trace_id, ai_calls.c.span_id
    statement = insert_for(dialect, ai_calls).on_conflict_do_nothing(index_elements=key)
    return statement.returning(*key)


_CALL_INSERT = DriverStatement(_call_insert)


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
