"""Who did what to deliveries: a row each time a person or a token replayed, discarded or paused.

A row is written by the transaction that does it, so that nothing is done without one. An action on
many envelopes takes several transactions; each adds what it did to the same row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select, update

from app.delivery.tables import delivery_actions
from app.store import Store, delete_in_batches

Kind = Literal["replayed", "discarded", "paused", "resumed"]
# Rows that are kept, whatever RETENTION_DAYS says; some 2 MB.
MAX_KEPT = 10_000


class Action:
    """One act, which is a row as soon as it did something."""

    def __init__(self, actor: str, kind: Kind, now: datetime, **what: Any) -> None:
        self._values: dict[str, Any] = {"actor": actor[:200], "kind": kind, "at": now, "filter": {}}
        self._values |= what
        self._row_id: int | None = None

    def note(self, conn: Connection, envelopes: int) -> None:
        """Add what a transaction did; the caller commits."""
        of = delivery_actions.c
        if self._row_id is not None:
            more = update(delivery_actions).where(of.id == self._row_id)
            conn.execute(more.values(envelopes=of.envelopes + envelopes))
            return
        row = delivery_actions.insert().values(self._values | {"envelopes": envelopes})
        self._row_id = conn.execute(row.returning(of.id)).scalar_one()


def list_actions(
    conn: Connection,
    *,
    envelope_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return actions, newest first.

    :param envelope_id: only what was done to this one by itself.
    :param before: the id of the row after which the page goes on, exclusive.
    """
    query = select(delivery_actions).order_by(delivery_actions.c.id.desc()).limit(limit)
    if envelope_id is not None:
        query = query.where(delivery_actions.c.envelope_id == envelope_id)
    if before is not None:
        query = query.where(delivery_actions.c.id < before)
    return list(conn.execute(query).all())


def prune_actions(store: Store, before: datetime | None) -> None:
    """Remove what is older than a moment, and what is beyond MAX_KEPT."""
    of = delivery_actions.c
    with store.read() as conn:
        newest = conn.scalar(select(func.max(of.id))) or 0
    delete_in_batches(store, delivery_actions, of.id <= newest - MAX_KEPT)
    if before is not None:
        delete_in_batches(store, delivery_actions, of.at < before)
