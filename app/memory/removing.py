"""Remove memories, with their history, and record what an index must remove.

Every function is called inside ``store.write()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, literal, select

from app.memory import history
from app.memory.queries import alive, find, in_scope
from app.memory.scope import Scope
from app.memory.tables import memories, memory_removals
from app.memory.user_counts import next_version
from app.store import replaced, upsert, utc_now

# Rows that a transaction removes. It holds the store's only writer for about 20 ms.
BATCH_SIZE = 500

_OF = memories.c


def remove(conn: Connection, scope: Scope, id: str, index_name: str | None) -> bool:
    """Remove a memory. Return whether it existed and had not expired.

    :param index_name: name of the present index, which must remove it; ``None`` for no index.
    """
    was_seen = find(conn, scope, id) is not None
    remove_ids(conn, scope, [id], index_name)
    return was_seen


def remove_all(conn: Connection, scope: Scope, index_name: str | None) -> int:
    """Remove all memories of a scope. Return how many had not expired."""
    seen = select(func.count()).where(in_scope(scope), alive(utc_now()))
    gone = int(conn.execute(seen).scalar_one())
    _delete(conn, scope.user_id, in_scope(scope), index_name)
    return gone


def sweep(conn: Connection, index_name: str | None) -> int:
    """Remove a batch of expired memories. Return how many were removed."""
    old = select(_OF.user_id, _OF.id).where(_OF.expires_at <= utc_now())
    by_user: dict[str, list[str]] = {}
    for user_id, id in conn.execute(old.order_by(_OF.expires_at).limit(BATCH_SIZE)):
        by_user.setdefault(user_id, []).append(id)
    for user_id, ids in sorted(by_user.items()):
        remove_ids(conn, Scope(user_id), ids, index_name)
    return sum(map(len, by_user.values()))


def remove_ids(conn: Connection, scope: Scope, ids: Sequence[str], index_name: str | None) -> None:
    """Remove memories of a scope with these ids, also expired ones."""
    _delete(conn, scope.user_id, and_(in_scope(scope), _OF.id.in_(ids)), index_name)


def _delete(conn: Connection, user_id: str, own: Any, index_name: str | None) -> None:
    _note_removals(conn, own, index_name)
    history.remove_of(conn, select(_OF.id).where(own))
    gone = conn.execute(delete(memories).where(own)).rowcount
    if gone:
        next_version(conn, user_id, -gone)


def _note_removals(conn: Connection, own: Any, index_name: str | None) -> None:
    """Record which indexes must remove the memories that are about to be deleted.

    These are the index that has them, and the present index, to which a request may be sending
    them.
    """
    names = [_OF.indexed_in] if index_name is None else [_OF.indexed_in, literal(index_name)]
    now = literal(utc_now(), memory_removals.c.removed_at.type)
    for name in names:
        ids = select(_OF.id, name, now).where(own, name.is_not(None))
        conn.execute(upsert(conn, memory_removals, ids, removed_at=replaced))
