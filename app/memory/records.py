"""Store and change memories as rows.

Every writing function is called inside ``store.write()``, whose transaction is the only writer.
What it reads stays true until it commits. So two requests with the same content store one memory.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, exists, select, update

from app.memory import history
from app.memory.content import NAMESPACE, digest_of, id_of
from app.memory.errors import SameContent
from app.memory.inputs import MemoryBody
from app.memory.keywords import packed_words
from app.memory.queries import SHOWN, find
from app.memory.removing import remove_ids
from app.memory.scope import Scope, scope_of
from app.memory.tables import memories
from app.memory.user_counts import check_room, next_version
from app.store import utc_now

_OF = memories.c


class Embedding(NamedTuple):
    """A packed vector, and the model that made it."""

    vector: bytes
    model: str


# What a memory has until the upkeep embeds it: no vector, of no model.


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
    now = utc_now()
    same = _by_digest(conn, scope.user_id, digest_of(scope, body.content))
    if same is None:
        return Kept(_insert(conn, scope, body, embedding or NO_EMBEDDING, origin, now), True)
    values = _values(body, now) | (embedding._asdict() if embedding else {})
    if same.expires_at is not None and same.expires_at <= now:
        # It had expired, so no reader could see it; it was only not swept yet.
        history.remove_of(conn, [same.id])
        return Kept(_change(conn, scope.user_id, same.id, values | {"created_at": now}), True)
    before = conn.execute(select(*SHOWN).where(_OF.id == same.id)).one()
    names = {"kind", "tags", "metadata", "expires_at"} - given | {"content"}
    values = {name: value for name, value in values.items() if name not in names}
    row = _change(conn, scope.user_id, same.id, values)
    history.note(conn, before, row)
    return Kept(row, False)


def _insert(
    conn: Connection,
    scope: Scope,
    body: MemoryBody,
    embedding: Embedding,
    origin: Origin,
    now: datetime,
) -> Row[Any]:
    check_room(conn, scope.user_id)
    version = next_version(conn, scope.user_id, 1)
    created = min(origin.created_at or now, now)
    values = {
        **_values(body, now),
        **embedding._asdict(),
        **scope._asdict(),
        "id": _free_id(conn, origin.id or id_of(scope, body.content)),
        "digest": digest_of(scope, body.content),
        "words": packed_words(body.content, body.tags),
        "created_at": created,
        "updated_at": max(created, min(origin.updated_at or now, now)),
        "version": version,
    }
    return conn.execute(memories.insert().values(values).returning(*SHOWN)).one()


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
    :param index_name: name of the present index, as for :func:`~app.memory.removing.remove`.
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
        remove_ids(conn, scope, [same.id], index_name)
    values = _values(body, now) | {"digest": digest}
    if embedding is not None:
        values |= embedding._asdict()
    elif same is None or same.id != read.id:
        values |= NO_EMBEDDING._asdict()
    row = _change(conn, scope.user_id, read.id, values)
    history.note(conn, read, row)
    return row


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

    :param rows: the result of :func:`~app.memory.queries.list_wordless`.
    """
    for row in rows:
        version = next_version(conn, row.user_id, 0)
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
    values = values | {"version": next_version(conn, user_id, 0), "indexed_in": None}
    statement = update(memories).where(_OF.id == id, _OF.user_id == user_id)
    row = conn.execute(statement.values(values).returning(*SHOWN)).one()
    if not values.keys().isdisjoint({"content", "tags"}):
        conn.execute(statement.values(words=packed_words(row.content, row.tags)))
    return row


def _by_digest(conn: Connection, user_id: str, digest: str) -> Any:
    query = select(_OF.id, _OF.expires_at)
    return conn.execute(query.where(_OF.user_id == user_id, _OF.digest == digest)).first()


def _free_id(conn: Connection, id: str) -> str:
    # The id is in use if the memory that had this content was changed to another content.
    while conn.execute(select(exists().where(_OF.id == id))).scalar_one():
        id = str(uuid.uuid5(NAMESPACE, id))
    return id
