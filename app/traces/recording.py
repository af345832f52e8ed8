"""The rows of traces: what an envelope has of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.protocol.envelope import Envelope
from app.protocol.span import Transaction, read_trace_ids, read_transactions
from app.store import upsert
from app.traces.tables import trace_envelopes, transactions

# Of one envelope. SDKs send spans of one trace in an envelope, and one transaction.
MAX_TRANSACTIONS, MAX_TRACES = 100, 100


class Rows(NamedTuple):
    """The rows of one envelope, for the two tables."""

    transactions: list[dict[str, Any]]
    traces: list[dict[str, Any]]


def rows_of(
    envelope: Envelope, *, envelope_id: int, project_id: int, received_at: datetime
) -> Rows | None:
    """Return the rows of an envelope, ``None`` if it has nothing of a trace.

    Transactions and traces beyond their limits are left out.
    """
    of = {"envelope_id": envelope_id, "project_id": project_id}
    listed = islice(read_transactions(envelope), MAX_TRANSACTIONS)
    rows = Rows(
        [of | _row(one, received_at) for one in listed],
        [
            {"trace_id": trace_id, "envelope_id": envelope_id}
            for trace_id in islice(read_trace_ids(envelope), MAX_TRACES)
        ],
    )
    return rows if any(rows) else None


def write_rows(conn: Connection, found: Iterable[Rows]) -> None:
    """Write the rows of envelopes. A transaction with the ids of another one is not written again.

    The caller commits.
    """
    of_envelopes = list(found)
    for table, rows in (
        (transactions, [row for one in of_envelopes for row in one.transactions]),
        (trace_envelopes, [row for one in of_envelopes for row in one.traces]),
    ):
        if rows:
            conn.execute(upsert(conn, table), rows)


def _row(one: Transaction, received_at: datetime) -> dict[str, Any]:
    timing = one.timing
    return {
        "event_id": one.event_id,
        "trace_id": one.trace_id,
        "span_id": one.span_id,
        "name": timing.transaction,
        "op": one.op,
        "status": one.status,
        "failed": timing.failed,
        "ms": timing.ms,
        "timestamp": one.timestamp or received_at,
        "release": timing.release,
        "environment": timing.environment,
    }
