"""Record outcomes: write an envelope's new state to its row, the ledger and the counters.

All of it is one transaction. An outcome is valid only if the envelope is still as the forwarder
read it. If a person was faster, or another forwarder after a lease ran out, their change stays.
Only "Sentry accepted the envelope" replaces every other state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from app.delivery import accounting
from app.delivery.months import move_months
from app.delivery.tables import attempts, client_reports
from app.events.states import WAITING, EnvelopeState
from app.events.tables import envelopes
from app.protocol.rate_limits import categories_of
from app.store import added, upsert


@dataclass(frozen=True)
class Attempt:
    """One attempt: when it began, its duration in milliseconds, and how it ended."""

    at: datetime
    ms: float
    status: int | None
    error: str | None
    worker: str


@dataclass(frozen=True)
class DeliveryOutcome:
    """The new state of an envelope.

    :param attempts: number of attempts when the envelope was picked.
    :param reason: why the envelope is not delivered. For ``discarded`` it is part of the name of
        the counter.
    :param attempt: ``None`` if the envelope was not sent.
    """

    envelope_id: int
    attempts: int
    state: str
    reason: str | None = None
    next_at: datetime | None = None
    upstream_id: str | None = None
    attempt: Attempt | None = None


# Statements are built once, because building one takes longer than executing it.
_ROWS: Select[Any] = select(
    envelopes.c.id,
    envelopes.c.project_id,
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.attempts,
    envelopes.c.item_types,
    envelopes.c.received_at,
).where(envelopes.c.id.in_(bindparam("ids", expanding=True)))
_INSERT_ATTEMPTS = attempts.insert()
_UPDATE = (
    update(envelopes)
    .where(envelopes.c.id == bindparam("row_id"))
    .values(
        {
            name: bindparam(name)
            for name in ("state", "reason", "next_at", "attempts", "upstream_id", "settled_at")
        }
    )
)


def record_outcomes(conn: Connection, outcomes: Iterable[DeliveryOutcome], now: datetime) -> None:
    """Write outcomes. An outcome that comes too late only adds its attempt to the ledger."""
    outcomes = list(outcomes)
    if not outcomes:
        return
    rows = _rows(conn, [outcome.envelope_id for outcome in outcomes])
    known = [outcome for outcome in outcomes if outcome.envelope_id in rows]
    valid = [outcome for outcome in known if _holds(outcome, rows[outcome.envelope_id])]
    if valid:
        conn.execute(
            _UPDATE, [_values(outcome, rows[outcome.envelope_id], now) for outcome in valid]
        )
        accounting.move(conn, (_change(outcome, rows[outcome.envelope_id]) for outcome in valid))
        move_months(conn, ((rows[one.envelope_id], one.state, one.reason) for one in valid))
    _note_attempts(conn, known)
    owe_reports(
        conn,
        [(rows[outcome.envelope_id], outcome.reason) for outcome in valid if _is_drop(outcome)],
    )


def owe_reports(conn: Connection, dropped: Iterable[tuple[Any, str | None]]) -> None:
    """Note discarded envelopes for the next client report to Sentry.

    :param dropped: pairs of an envelope's row and the reason.
    """
    owed: Counter[tuple[int, str, str]] = Counter()
    for row, reason in dropped:
        for item_type in filter(None, row.item_types.split(",")):
            owed[row.project_id, (reason or "")[:64], categories_of(item_type)[0][:64]] += 1
    rows = [
        {"project_id": project_id, "reason": reason, "category": category, "quantity": count}
        for (project_id, reason, category), count in sorted(owed.items())
    ]
    if rows:
        conn.execute(upsert(conn, client_reports, quantity=added), rows)


def _rows(conn: Connection, ids: list[int]) -> dict[int, Row[Any]]:
    return {row.id: row for row in conn.execute(_ROWS, {"ids": ids})}


def _holds(delivery_outcome: DeliveryOutcome, row: Row[Any]) -> bool:
    if delivery_outcome.state == EnvelopeState.DELIVERED:
        return bool(row.state != EnvelopeState.DELIVERED)
    return row.state in WAITING and row.attempts == delivery_outcome.attempts


def _values(delivery_outcome: DeliveryOutcome, row: Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "row_id": delivery_outcome.envelope_id,
        "state": delivery_outcome.state,
        "reason": delivery_outcome.reason and delivery_outcome.reason[:200],
        "next_at": delivery_outcome.next_at,
        "attempts": row.attempts + (delivery_outcome.attempt is not None),
        "upstream_id": delivery_outcome.upstream_id,
        "settled_at": now,
    }


def _change(delivery_outcome: DeliveryOutcome, row: Row[Any]) -> tuple[str, str]:
    return (
        accounting.counter_of(row.state, row.reason),
        accounting.counter_of(
            delivery_outcome.state, delivery_outcome.reason and delivery_outcome.reason[:200]
        ),
    )


def _is_drop(delivery_outcome: DeliveryOutcome) -> bool:
    return delivery_outcome.state == EnvelopeState.DISCARDED


def _note_attempts(conn: Connection, outcomes: list[DeliveryOutcome]) -> None:
    rows = [
        {
            "envelope_id": outcome.envelope_id,
            "at": outcome.attempt.at,
            "ms": outcome.attempt.ms,
            "status": outcome.attempt.status,
            "error": outcome.attempt.error and outcome.attempt.error[:500],
            "state": outcome.state,
            "next_at": outcome.next_at,
            "worker": outcome.attempt.worker,
        }
        for outcome in outcomes
        if outcome.attempt is not None
    ]
    if rows:
        conn.execute(_INSERT_ATTEMPTS, rows)
        accounting.add(conn, Counter(accounting.attempted(str(row["state"])) for row in rows))
