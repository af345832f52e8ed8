"""The rows that the exact index reads: a user's memories that changed since a version."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from app.memory.tables import memories, memory_users
from app.memory.user_counts import totals
from app.memory.vectors.exact import NEVER, Changes, StoredRow
from app.store import Store

_OF = memories.c
_USER = select(memory_users.c.version, memory_users.c.memories).where(
    memory_users.c.user_id == bindparam("user_id")
)
_ROWS = select(
    *(_OF[name] for name in ("id", "agent_id", "run_id", "model", "vector", "kind", "tags")),
    _OF.expires_at,
).where(_OF.user_id == bindparam("user_id"), _OF.version > bindparam("since"))


class StoredRows:
    """Reads the memories of one store for the exact index."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.system = store.url.get_backend_name()

    def changes(self, user_id: str, since: int) -> Changes:
        """Return a user's memories that changed since a version; 0 returns all of them."""
        with self._store.read() as conn:
            # Read the version first. Without a snapshot, rows that are written between the two
            # queries are returned by the next call.
            user = conn.execute(_USER, {"user_id": user_id}).first()
            if user is None:
                return Changes(0, 0, ())
            if user.version == since:
                return Changes(since, user.memories, ())
            found = conn.execute(_ROWS, {"user_id": user_id, "since": since})
            return Changes(user.version, user.memories, [_row(row) for row in found])

    def total(self) -> int:
        """Return the number of memories of all users."""
        with self._store.read() as conn:
            return totals(conn)[1]


def _row(row: Any) -> StoredRow:
    expires: datetime | None = row.expires_at
    return StoredRow(
        row.id,
        row.agent_id,
        row.run_id,
        row.model,
        row.vector,
        row.kind,
        tuple(row.tags),
        # Rounded up. Matches are read again from SQL, and the exact time is checked there.
        NEVER if expires is None else math.ceil(expires.timestamp()),
    )
