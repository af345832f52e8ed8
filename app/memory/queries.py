"""Read memories: of a scope, and what the upkeep looks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select

from app.memory.inputs import EVERYTHING, MemoryFilter
from app.memory.scope import Scope
from app.memory.tables import memories, memory_removals
from app.protocol.lenient import search_text
from app.store import utc_now
from app.store.searching import contains

_OF = memories.c
# The columns that readers get, without the vector, which takes a kilobyte.
SHOWN = tuple(column for column in _OF if column.name not in ("digest", "vector", "words"))

_BY_IDS = select(*SHOWN, _OF.vector).where(_OF.id.in_(bindparam("ids", expanding=True)))


def alive(now: datetime) -> Any:
    """Return the SQL condition that a memory has not expired."""
    return or_(_OF.expires_at.is_(None), _OF.expires_at > now)


def in_scope(scope: Scope) -> Any:
    """Return the SQL condition that a memory is in a scope."""
    of_agent = [] if scope.agent_id is None else [_OF.agent_id == scope.agent_id]
    of_run = [] if scope.run_id is None else [_OF.run_id == scope.run_id]
    return and_(_OF.user_id == scope.user_id, *of_agent, *of_run)


def find(conn: Connection, scope: Scope, id: str) -> Row[Any] | None:
    """Return a memory, ``None`` if the scope has no memory with this id or it has expired."""
    query = select(*SHOWN).where(_OF.id == id, in_scope(scope), alive(utc_now()))
    return conn.execute(query).first()


def find_all(conn: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Return memories of a scope with these ids that have not expired, with their vectors."""
    # The query is by the ids only. With the user in the condition, SQLite reads all of the user's
    # rows instead.
    rows: list[Row[Any]] = list(conn.execute(_BY_IDS, {"ids": list(ids)}))
    now = utc_now()
    return {
        row.id: row
        for row in rows
        if scope.has(row) and (row.expires_at is None or row.expires_at > now)
    }


def list_memories(
    conn: Connection,
    scope: Scope,
    filter: MemoryFilter = EVERYTHING,
    *,
    before: int | None = None,
    limit: int = 50,
    seqs: Sequence[int] | None = None,
) -> list[Row[Any]]:
    """Return the memories of a scope, newest first.

    :param before: return only memories with a smaller ``seq`` than this.
    :param seqs: return only these; ``None`` for no restriction.
    """
    query = select(*SHOWN).where(in_scope(scope), alive(utc_now()))
    if filter.kind is not None:
        query = query.where(_OF.kind == filter.kind)
    if part := search_text(filter.q):
        query = query.where(contains(part, _OF.content))
    if before is not None:
        query = query.where(_OF.seq < before)
    if seqs is not None:
        query = query.where(_OF.seq.in_(seqs))
    return list(conn.execute(query.order_by(_OF.seq.desc()).limit(limit)))


def list_oldest(
    conn: Connection, scope: Scope | None, *, after: int = 0, limit: int = 500
) -> list[Row[Any]]:
    """Return the memories of a scope, or of all users, oldest first.

    :param after: return only memories with a larger ``seq`` than this.
    """
    query = select(*SHOWN).where(_OF.seq > after, alive(utc_now()))
    if scope is not None:
        query = query.where(in_scope(scope))
    return list(conn.execute(query.order_by(_OF.seq).limit(limit)))


def known(conn: Connection, ids: Sequence[str]) -> set[str]:
    """Return the ids that exist, of any user."""
    return set(conn.scalars(select(_OF.id).where(_OF.id.in_(ids))))


def has_any(conn: Connection) -> bool:
    """Return whether there is any memory, or any that an index must still remove."""
    there = (select(row).exists() for row in (_OF.id, memory_removals.c.id))
    return bool(conn.scalar(select(or_(*there))))


def has_expired(conn: Connection) -> bool:
    """Return whether there are expired memories to sweep."""
    return (
        conn.execute(select(_OF.id).where(_OF.expires_at <= utc_now()).limit(1)).first() is not None
    )


# ---- for the upkeep -----------------------------------------------------------------------------


def is_foreign(model: str) -> Any:
    """Return the SQL condition that a vector was made by another model."""
    # Not `!=`, because databases use no index for it.
    return or_(_OF.model < model, _OF.model > model)


def count_foreign(conn: Connection, model: str) -> int:
    """Return how many memories have vectors of another model."""
    return int(conn.execute(select(func.count()).where(is_foreign(model))).scalar_one())


def list_foreign(conn: Connection, model: str, limit: int) -> list[Any]:
    """Return ``id, user_id, content, version`` of memories with vectors of another model."""
    query = select(_OF.id, _OF.user_id, _OF.content, _OF.version).where(is_foreign(model))
    return list(conn.execute(query.limit(limit)))


def list_wordless(conn: Connection, limit: int) -> list[Any]:
    """Return ``seq, user_id, content, tags`` of memories whose words were not made yet."""
    query = select(_OF.seq, _OF.user_id, _OF.content, _OF.tags).where(_OF.words.is_(None))
    return list(conn.execute(query.order_by(_OF.seq).limit(limit)))
