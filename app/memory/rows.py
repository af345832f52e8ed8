"""What the exact index reads: the memories of a user that changed since a version."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from app.memory.records import totals
from app.memory.tables import memories, memory_users
from app.memory.vectors.exact import NEVER, Changes, StoredRow
from app.store import Store

_OF = memories.c
_USER = select(memory_users.c.version, memory_users.c.memories).where(
    memory_users.c.user_id == bindparam("user_id")
)
_ROWS = select(_OF.id, _OF.model, _OF.vector, _OF.kind, _OF.tags, _OF.expires_at).where(
    _OF.user_id == bindparam("user_id"), _OF.version > bindparam("since")
)


class StoredRows:
    """The memories of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.system = store.url.get_backend_name()

    def changes(self, user_id: str, since: int) -> Changes:
        """Return what changed of a user's since a version; 0 for everything."""
        with self._store.read() as conn:
            # The version first: where no snapshot holds, later rows come with the next question.
            user = conn.execute(_USER, {"user_id": user_id}).first()
            if user is None:
                return Changes(0, 0, ())
            if user.version == since:
                return Changes(since, user.memories, ())
            found = conn.execute(_ROWS, {"user_id": user_id, "since": since})
            return Changes(user.version, user.memories, [_row(row) for row in found])

    def total(self) -> int:
        """Return how many memories there are of all users."""
        with self._store.read() as conn:
            return totals(conn)[1]


def _row(row: Any) -> StoredRow:
    expires: datetime | None = row.expires_at
    return StoredRow(
        row.id,
        row.model,
        row.vector,
        row.kind,
        tuple(row.tags),
        # Rounded up: what is found is read again, and its time is held against the clock there.
        NEVER if expires is None else math.ceil(expires.timestamp()),
    )
