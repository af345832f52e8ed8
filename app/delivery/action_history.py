"""The history of actions on deliveries: who replayed, discarded, paused or resumed what, and when.

The transaction of an action also writes its row, so every action has a row. An action on many
envelopes takes several transactions. Each of them adds its count to the same row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select, update

from app.accounts import audit
from app.delivery.tables import delivery_actions
from app.store import Store, delete_in_batches

Kind = Literal["replayed", "discarded", "paused", "resumed"]
# The largest number of rows that are kept, independent of RETENTION_DAYS: about 2 MB.
MAX_KEPT = 10_000
_AUDITED: dict[Kind, str] = {
    "replayed": "deliveries_replayed",
    "discarded": "deliveries_discarded",
    "paused": "delivery_paused",
    "resumed": "delivery_resumed",
}


class Action:
    """One action of a person or a token. Its row is written when it first changes something."""

    def __init__(self, actor: str, kind: Kind, now: datetime, **what: Any) -> None:
        self._values: dict[str, Any] = {"actor": actor[:200], "kind": kind, "at": now, "filter": {}}
        self._values |= what
        self._row_id: int | None = None

    def note(self, conn: Connection, envelopes: int) -> None:
        """Add the number of envelopes that a transaction changed. The caller commits."""
        of = delivery_actions.c
        if self._row_id is not None:
            more = update(delivery_actions).where(of.id == self._row_id)
            conn.execute(more.values(envelopes=of.envelopes + envelopes))
            return
        row = delivery_actions.insert().values(self._values | {"envelopes": envelopes})
        self._row_id = conn.execute(row.returning(of.id)).scalar_one()
        audit.note(conn, _AUDITED[self._values["kind"]], self._target, self._detail)

    @property
    def _target(self) -> str:
        if envelope_id := self._values.get("envelope_id"):
            return f"envelope {envelope_id}"
        project_id = self._values.get("project_id")
        return f"project {project_id}" if project_id else "deliveries"

    @property
    def _detail(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._values["filter"].items())


def list_actions(
    conn: Connection,
    *,
    envelope_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return actions, newest first.

    :param envelope_id: return only actions on this single envelope, not those on a filter.
    :param before: return only rows with a smaller id than this.
    """
    query = select(delivery_actions).order_by(delivery_actions.c.id.desc()).limit(limit)
    if envelope_id is not None:
        query = query.where(delivery_actions.c.envelope_id == envelope_id)
    if before is not None:
        query = query.where(delivery_actions.c.id < before)
    return list(conn.execute(query).all())


def prune_actions(store: Store, before: datetime | None) -> None:
    """Remove actions older than a moment, and all but the newest :data:`MAX_KEPT`."""
    of = delivery_actions.c
    with store.read() as conn:
        newest = conn.scalar(select(func.max(of.id))) or 0
    delete_in_batches(store, delivery_actions, of.id <= newest - MAX_KEPT)
    if before is not None:
        delete_in_batches(store, delivery_actions, of.at < before)
