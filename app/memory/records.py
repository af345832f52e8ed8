"""Memories as rows.

Every writing function is called inside ``store.write()``, whose transaction is the only writer.
What it reads stays true until it commits. So two requests with the same content store one memory.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from app.memory import history
from app.memory.content import NAMESPACE, digest_of, id_of
from app.memory.errors import SameContent, TooMany
from app.memory.inputs import EVERYTHING, MemoryBody, MemoryFilter
from app.memory.keywords import packed_words
from app.memory.scope import Scope, scope_of
from app.memory.tables import memories, memory_removals, memory_users
from app.protocol.lenient import search_text
from app.store import added, replaced, upsert, utc_now
from app.store.searching import contains

# The most memories of a user. Searching them without an index takes 4 ms, and reading them for the
# first time half a second.
MAX_PER_USER = 50_000
# Rows that a transaction removes. It holds the store's only writer for about 20 ms.
BATCH_SIZE = 500

_OF = memories.c
# The columns that readers get, without the vector, which takes a kilobyte.
SHOWN = tuple(column for column in _OF if column.name not in ("digest", "vector", "words"))

_BY_IDS = select(*SHOWN, _OF.vector).where(_OF.id.in_(bindparam("ids", expanding=True)))


class Embedding(NamedTuple):
    """A packed vector, and the model that made it."""

    vector: bytes
    model: str


# What a memory has until the upkeep embeds it: no vector, of no model.
NO_EMBEDDING = Embedding(b"", "")


class Kept(NamedTuple):
    """A stored memory, and whether it is new."""

    row: Row[Any]
    is_new: bool


class Origin(NamedTuple):
    """Where an imported memory comes from: its id and times there. ``None`` makes a new one."""

    id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


HERE = Origin()


class UserCount(NamedTuple):
    """How many memories a user has."""

    user_id: str
    memories: int


# ---- reading ------------------------------------------------------------------------------------


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


def count(conn: Connection, user_id: str) -> int:
    """Return how many memories a user has, without expired ones."""
    # Few memories have expired and are not swept yet, so the query should find them by their time.
    # The expression for the user keeps SQLite from reading all of the user's rows instead.
    of_user = _OF.user_id.concat("") == user_id
    expired = select(func.count()).where(_OF.expires_at <= utc_now(), of_user)
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


def known(conn: Connection, ids: Sequence[str]) -> set[str]:
    """Return the ids that exist, of any user."""
    return set(conn.scalars(select(_OF.id).where(_OF.id.in_(ids))))


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


# ---- writing ------------------------------------------------------------------------------------


def keep(
    conn: Connection,
    scope: Scope,
    body: MemoryBody,
    embedding: Embedding | None,
    given: frozenset[str],
    origin: Origin = HERE,
) -> Kept:
    """Store a memory. The same content in the same scope keeps its id and gets the given fields.

    Nothing is written before an error is raised, so further memories can be stored in the same
    transaction.

    :param embedding: ``None`` if the embedder does not work. An existing memory keeps its vector.
    :param given: names of the fields that replace those of an existing memory.
    :param origin: the id and the times of a new memory, if it is imported. The id is taken if no
        other memory has it.
    :raise TooMany: the user has the largest number of memories.
    """
    now, digest = utc_now(), digest_of(scope, body.content)
    user_id = scope.user_id
    same = _by_digest(conn, user_id, digest)
    values = _values(body, now) | (embedding._asdict() if embedding else {})
    if same is None:
        _check_room(conn, user_id)
        version = _count(conn, user_id, 1)
        wanted = origin.id or id_of(scope, body.content)
        created = min(origin.created_at or now, now)
        values |= (embedding or NO_EMBEDDING)._asdict() | {
            "id": _free_id(conn, wanted),
            **scope._asdict(),
            "digest": digest,
            "words": packed_words(body.content, body.tags),
            "created_at": created,
            "updated_at": max(created, min(origin.updated_at or now, now)),
            "version": version,
        }
        made = conn.execute(memories.insert().values(values).returning(*SHOWN)).one()
        return Kept(made, True)
    is_new = same.expires_at is not None and same.expires_at <= now
    before = conn.execute(select(*SHOWN).where(_OF.id == same.id)).one()
    if is_new:  # It had expired, so no reader could see it; it was only not swept yet.
        values |= {"created_at": now}
        history.remove_of(conn, [same.id])
    else:
        names = {"kind", "tags", "metadata", "expires_at"} - given | {"content"}
        values = {name: value for name, value in values.items() if name not in names}
    row = _change(conn, user_id, same.id, values)
    if not is_new:
        history.note(conn, before, row)
    return Kept(row, is_new)


def change(
    conn: Connection,
    read: Row[Any],
    body: MemoryBody,
    embedding: Embedding | None,
    index_name: str | None,
) -> Row[Any] | None:
    """Replace the fields of a memory. It stays a memory of its agent and run.

    :param read: the memory as it was read.
    :param embedding: ``None`` if there is no new vector. With the same content it keeps its vector.
    :param index_name: name of the present index, as for :func:`remove`.
    :return: the memory, ``None`` if it was changed or removed since it was read.
    :raise SameContent: another memory of the same user, agent and run has this content.
    """
    scope, now = scope_of(read), utc_now()
    present = find(conn, scope, read.id)
    if present is None or present.version != read.version:
        return None
    digest = digest_of(scope, body.content)
    same = _by_digest(conn, scope.user_id, digest)
    if same is not None and same.id != read.id:
        if same.expires_at is None or same.expires_at > now:
            raise SameContent(same.id)
        _remove(conn, scope, [same.id], index_name)
    values = _values(body, now) | {"digest": digest}
    if embedding is not None:
        values |= embedding._asdict()
    elif same is None or same.id != read.id:
        values |= NO_EMBEDDING._asdict()
    row = _change(conn, scope.user_id, read.id, values)
    history.note(conn, read, row)
    return row


def remove(conn: Connection, scope: Scope, id: str, index_name: str | None) -> bool:
    """Remove a memory. Return whether it existed and had not expired.

    :param index_name: name of the present index, which must remove it; ``None`` for no index.
    """
    was_seen = find(conn, scope, id) is not None
    _remove(conn, scope, [id], index_name)
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
        _remove(conn, Scope(user_id), ids, index_name)
    return sum(map(len, by_user.values()))


def has_any(conn: Connection) -> bool:
    """Return whether there is any memory, or any that an index must still remove."""
    there = (select(row).exists() for row in (_OF.id, memory_removals.c.id))
    return bool(conn.scalar(select(or_(*there))))


def has_expired(conn: Connection) -> bool:
    """Return whether there are expired memories to sweep."""
    return (
        conn.execute(select(_OF.id).where(_OF.expires_at <= utc_now()).limit(1)).first() is not None
    )


def set_vector(conn: Connection, user_id: str, id: str, version: int, embedding: Embedding) -> bool:
    """Store a vector of another model for a memory. Return ``False`` if the memory was changed
    since it was read.
    """
    same = select(_OF.id).where(_OF.id == id, _OF.version == version)
    if conn.execute(same).first() is None:
        return False
    _change(conn, user_id, id, embedding._asdict())
    return True


def set_words(conn: Connection, rows: Sequence[Any]) -> None:
    """Store the words of memories that have none, without a change of anything else.

    :param rows: the result of :func:`list_wordless`.
    """
    for row in rows:
        version = _count(conn, row.user_id, 0)
        values = {"words": packed_words(row.content, row.tags), "version": version}
        conn.execute(update(memories).where(_OF.seq == row.seq).values(values))


def rewrite(conn: Connection, user_id: str, id: str, values: dict[str, Any]) -> None:
    """Change texts of a memory, and drop its vector. The upkeep embeds and indexes it again.

    :param values: the new columns, with the digest of the content.
    """
    embedding = NO_EMBEDDING._asdict() if "content" in values else {}
    _change(conn, user_id, id, {**values, **embedding})


def _values(body: MemoryBody, now: datetime) -> dict[str, Any]:
    return {
        "content": body.content,
        "kind": body.kind,
        "tags": body.tags,
        "metadata": body.metadata,
        "expires_at": body.expires_at,
        "updated_at": now,
    }


def _change(conn: Connection, user_id: str, id: str, values: dict[str, Any]) -> Row[Any]:
    values = values | {"version": _count(conn, user_id, 0), "indexed_in": None}
    statement = update(memories).where(_OF.id == id, _OF.user_id == user_id)
    row = conn.execute(statement.values(values).returning(*SHOWN)).one()
    if not values.keys().isdisjoint({"content", "tags"}):
        conn.execute(statement.values(words=packed_words(row.content, row.tags)))
    return row


def _remove(conn: Connection, scope: Scope, ids: Sequence[str], index_name: str | None) -> None:
    _delete(conn, scope.user_id, and_(in_scope(scope), _OF.id.in_(ids)), index_name)


def _delete(conn: Connection, user_id: str, own: Any, index_name: str | None) -> None:
    _note_removals(conn, own, index_name)
    history.remove_of(conn, select(_OF.id).where(own))
    gone = conn.execute(delete(memories).where(own)).rowcount
    if gone:
        _count(conn, user_id, -gone)


def _by_digest(conn: Connection, user_id: str, digest: str) -> Any:
    query = select(_OF.id, _OF.expires_at)
    return conn.execute(query.where(_OF.user_id == user_id, _OF.digest == digest)).first()


def _check_room(conn: Connection, user_id: str) -> None:
    of = memory_users.c
    if (conn.scalar(select(of.memories).where(of.user_id == user_id)) or 0) >= MAX_PER_USER:
        raise TooMany(
            f"the user has {MAX_PER_USER} memories, the most that are kept: delete some, or have"
            " some expire"
        )


def _free_id(conn: Connection, id: str) -> str:
    # The id is in use if the memory that had this content was changed to another content.
    while conn.execute(select(exists().where(_OF.id == id))).scalar_one():
        id = str(uuid.uuid5(NAMESPACE, id))
    return id


def _count(conn: Connection, user_id: str, more: int) -> int:
    """Add to a user's number of memories, and return the user's new version. A row with 0 memories
    is deleted.
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
