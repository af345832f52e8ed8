"""How many memories each user has, and the version of a user's memories.

The version grows with each change. A process that holds a user's memories reads it to find out
whether something changed.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, delete, func, select

from app.memory.errors import TooMany
from app.memory.tables import memories, memory_users
from app.protocol.lenient import search_text
from app.store import added, upsert, utc_now
from app.store.searching import contains

# The most memories of a user. Searching them without an index takes 4 ms, and reading them for the
# first time half a second.
MAX_PER_USER = 50_000


class UserCount(NamedTuple):
    """How many memories a user has."""

    user_id: str
    memories: int


def count(conn: Connection, user_id: str) -> int:
    """Return how many memories a user has, without expired ones."""
    # Few memories have expired and are not swept yet, so the query should find them by their time.
    # The expression for the user keeps SQLite from reading all of the user's rows instead.
    of_user = memories.c.user_id.concat("") == user_id
    expired = select(func.count()).where(memories.c.expires_at <= utc_now(), of_user)
    query = select(memory_users.c.memories - expired.scalar_subquery())
    return conn.scalar(query.where(memory_users.c.user_id == user_id)) or 0


def list_users(
    conn: Connection, text: str | None = None, *, after: str | None = None, limit: int = 50
) -> list[UserCount]:
    """Return users with their numbers of memories, by name.

    :param text: part of the name.
    :param after: return only names after this one.
    """
    query = select(memory_users.c.user_id, memory_users.c.memories)
    if part := search_text(text):
        query = query.where(contains(part, memory_users.c.user_id))
    if after is not None:
        query = query.where(memory_users.c.user_id > after)
    rows = conn.execute(query.order_by(memory_users.c.user_id).limit(limit))
    return [UserCount(*row) for row in rows]


def totals(conn: Connection) -> tuple[int, int]:
    """Return the number of users and the number of memories."""
    query = select(func.count(), func.coalesce(func.sum(memory_users.c.memories), 0))
    users, stored = conn.execute(query.select_from(memory_users)).one()
    return int(users), int(stored)


def check_room(conn: Connection, user_id: str) -> None:
    """Check that a user may have one more memory.

    :raise TooMany: the user has the largest number of memories.
    """
    of = memory_users.c
    if (conn.scalar(select(of.memories).where(of.user_id == user_id)) or 0) >= MAX_PER_USER:
        raise TooMany(
            f"the user has {MAX_PER_USER} memories, the most that are kept: delete some, or have"
            " some expire"
        )


def next_version(conn: Connection, user_id: str, more: int) -> int:
    """Return the next version of a user's memories, and add to their number. The row of a user
    without memories is deleted.
    """
    of = memory_users.c
    now_us = time.time_ns() // 1000
    new = {"user_id": user_id, "version": now_us, "memories": more}
    statement = upsert(conn, memory_users, new, version=_later_version, memories=added)
    row = conn.execute(statement.returning(of.version, of.memories)).one()
    if row.memories <= 0:
        conn.execute(delete(memory_users).where(of.user_id == user_id))
    return int(row.version)


def _later_version(old: Any, new: Any) -> Any:
    return case((old >= new, old + 1), else_=new)
