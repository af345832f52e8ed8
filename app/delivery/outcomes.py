"""Settling: what became of an envelope, into its row, the ledger and the books, in one transaction.

A settlement holds for what the forwarder read: when a person or, after a lease ran out, another
forwarder was faster, theirs stands. Only "Sentry accepted it" wins over anything but itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from app.delivery import accounting
from app.delivery.tables import attempts, client_reports
from app.events.tables import envelopes
from app.protocol.rate_limits import categories_of
from app.store import added, upsert

WAITING = ("pending", "retry")


@dataclass(frozen=True)
class Attempt:
    """One try: when it began, how long it took in milliseconds, and how it ended."""

    at: datetime
    ms: float
    status: int | None
    error: str | None
    worker: str


@dataclass(frozen=True)
class Settlement:
    """What an envelope becomes.

    :param attempts: how often it had been tried when it was picked.
    :param reason: why it is not delivered; for ``discarded`` the word the books count it under.
    :param attempt: ``None`` when it was not tried at all.
    """

    envelope_id: int
    attempts: int
    state: str
    reason: str | None = None
    next_at: datetime | None = None
    upstream_id: str | None = None
    attempt: Attempt | None = None


# Statements are built once: putting one together takes longer than executing it.
_ROWS: Select[Any] = select(
    envelopes.c.id,
    envelopes.c.project_id,
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.attempts,
    envelopes.c.item_types,
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


def settle(conn: Connection, settlements: Iterable[Settlement], now: datetime) -> None:
    """Write settlements; those that came too late leave only their attempt in the ledger."""
    settlements = list(settlements)
    if not settlements:
        return
    rows = _rows(conn, [one.envelope_id for one in settlements])
    known = [one for one in settlements if one.envelope_id in rows]
    valid = [one for one in known if _holds(one, rows[one.envelope_id])]
    if valid:
        conn.execute(_UPDATE, [_values(one, rows[one.envelope_id], now) for one in valid])
        accounting.move(conn, (_change(one, rows[one.envelope_id]) for one in valid))
    _note_attempts(conn, known)
    owe_reports(conn, [(rows[one.envelope_id], one.reason) for one in valid if _is_drop(one)])


def owe_reports(conn: Connection, dropped: Iterable[tuple[Any, str | None]]) -> None:
    """Note what Sentry has to be told of as a client report: rows and the reason for each."""
    owed: Counter[tuple[int, str, str]] = Counter()
    for row, reason in dropped:
        for item_type in filter(None, row.item_types.split(",")):
            owed[row.project_id, (reason or "")[:64], categories_of(item_type)[0][:64]] += 1
    if not owed:
        return
    rows = [
        {"project_id": project_id, "reason": reason, "category": category, "quantity": count}
        for (project_id, reason, category), count in sorted(owed.items())
    ]
    conn.execute(upsert(conn, client_reports, quantity=added), rows)


def _rows(conn: Connection, ids: list[int]) -> dict[int, Row[Any]]:
    return {row.id: row for row in conn.execute(_ROWS, {"ids": ids})}


def _holds(one: Settlement, row: Row[Any]) -> bool:
    if one.state == "delivered":
        return bool(row.state != "delivered")
    return row.state in WAITING and row.attempts == one.attempts


def _values(one: Settlement, row: Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "row_id": one.envelope_id,
        "state": one.state,
        "reason": one.reason and one.reason[:200],
        "next_at": one.next_at,
        "attempts": row.attempts + (one.attempt is not None),
        "upstream_id": one.upstream_id,
        "settled_at": now,
    }


def _change(one: Settlement, row: Row[Any]) -> tuple[str, str]:
    return (
        accounting.counter_of(row.state, row.reason),
        accounting.counter_of(one.state, one.reason and one.reason[:200]),
    )


def _is_drop(one: Settlement) -> bool:
    return one.state == "discarded"


def _note_attempts(conn: Connection, settlements: list[Settlement]) -> None:
    rows = [
        {
            "envelope_id": one.envelope_id,
            "at": one.attempt.at,
            "ms": one.attempt.ms,
            "status": one.attempt.status,
            "error": one.attempt.error and one.attempt.error[:500],
            "state": one.state,
            "next_at": one.next_at,
            "worker": one.attempt.worker,
        }
        for one in settlements
        if one.attempt is not None
    ]
    if rows:
        conn.execute(_INSERT_ATTEMPTS, rows)
        accounting.add(conn, Counter(accounting.attempted(str(row["state"])) for row in rows))
