"""The state of an index in SQL: which memories it has, which it lacks, and which it must remove."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, literal, or_, select, update

from app.memory.tables import memories, memory_removals
from app.memory.vectors.index import Point
from app.memory.vectors.packing import unpack
from app.store import facts, insert, replaced, upsert, utc_now

# Rows that are sent to an index at once. With 256 dimensions they are 100 KiB in binary form and
# about 600 KiB as JSON.
BATCH_SIZE = 100
# The name of the fact that an index is empty. Its value is a token and the name of the index,
# because an index may be lost again.
LOST = "memory_index_lost"

_OF = memories.c
_COLUMNS = (
    *(_OF[name] for name in ("id", "user_id", "agent_id", "run_id")),
    *(_OF[name] for name in ("vector", "kind", "tags", "created_at")),
    _OF.expires_at,
    _OF.version,
    _OF.model,
)


def point_of(row: Any) -> Point:
    """Return the point that an index stores for a memory.

    :param row: with its vector.
    """
    expires: datetime | None = row.expires_at
    return Point(
        id=row.id,
        user_id=row.user_id,
        agent_id=row.agent_id,
        run_id=row.run_id,
        vector=unpack(row.vector),
        kind=row.kind,
        tags=tuple(row.tags),
        created_at=int(row.created_at.timestamp()),
        # Rounded up. Matches are read again from SQL, and the exact time is checked there.
        expires_at=None if expires is None else int(-(-expires.timestamp() // 1)),
    )


def find_point(conn: Connection, id: str) -> Any:
    """Return the columns of a memory that an index needs, ``None`` if there is no such memory."""
    return conn.execute(select(*_COLUMNS).where(_OF.id == id)).first()


def lacking(conn: Connection, name: str, model: str, limit: int = BATCH_SIZE) -> list[Row[Any]]:
    """Return memories of a model that an index lacks, with the columns that it needs.

    The list is empty if the next ones all have vectors of other models, and must be embedded first.
    """
    # The model is not a condition of the query: with it SQLite would read all memories.
    rows: list[Row[Any]] = list(
        conn.execute(select(*_COLUMNS).where(_is_not_in(name)).limit(limit))
    )
    return [row for row in rows if row.model == model]


def count_lacking(conn: Connection, name: str, user_id: str | None = None) -> int:
    """Return how many memories an index lacks, of one user or of all."""
    query = select(func.count()).where(_is_not_in(name))
    if user_id is not None:
        # Usually no memory is missing. The expression keeps SQLite from reading all rows of the
        # user.
        query = query.where(_OF.user_id.concat("") == user_id)
    return int(conn.execute(query).scalar_one())


def count_held(conn: Connection, name: str) -> int:
    """Return how many memories an index should have."""
    query = select(func.count()).where(_OF.indexed_in == name)
    return int(conn.execute(query).scalar_one())


def mark(conn: Connection, name: str, put: Sequence[tuple[str, int]]) -> int:
    """Record that an index has these versions of memories. Return how many are up to date.

    If a memory was changed meanwhile, its older version may have been put after the newer one. It
    is put again. If a memory was removed meanwhile, it must be removed from the index again.

    :param put: ids and versions that were put into the index.
    """
    held = 0
    for id, version in put:
        its_row = update(memories).where(_OF.id == id)
        if conn.execute(its_row.where(_OF.version == version).values(indexed_in=name)).rowcount:
            held += 1
        elif not conn.execute(its_row.values(indexed_in=None)).rowcount:
            note_removals(conn, name, [id])
    return held


def note_removals(conn: Connection, name: str, ids: Sequence[str]) -> None:
    """Record that ids must be removed from an index."""
    rows = [{"id": id, "index_name": name, "removed_at": utc_now()} for id in ids]
    if rows:
        conn.execute(insert(conn, memory_removals).on_conflict_do_nothing(), rows)


def removals(conn: Connection, name: str, before: datetime, limit: int = BATCH_SIZE) -> list[str]:
    """Return ids that were removed before a moment and must be removed from an index."""
    of = memory_removals.c
    query = select(of.id).where(of.index_name == name, of.removed_at < before)
    return list(conn.scalars(query.order_by(of.removed_at).limit(limit)))


def count_removals(conn: Connection, name: str) -> int:
    """Return how many ids must still be removed from an index."""
    query = select(func.count()).where(memory_removals.c.index_name == name)
    return int(conn.execute(query).scalar_one())


def finish_removals(conn: Connection, name: str, ids: Sequence[str]) -> None:
    """Record that ids were removed from an index. Memories stored again since are put again."""
    of = memory_removals.c
    conn.execute(delete(memory_removals).where(of.index_name == name, of.id.in_(ids)))
    conn.execute(update(memories).where(_OF.id.in_(ids)).values(indexed_in=None))


def has_removals(conn: Connection, before: datetime) -> bool:
    """Return whether an id removed before a moment must still be removed from an index."""
    query = select(memory_removals.c.id).where(memory_removals.c.removed_at < before)
    return conn.execute(query.limit(1)).first() is not None


def forget_removals(conn: Connection, before: datetime) -> None:
    """Delete old removals. They belong to an index that is not used any more."""
    conn.execute(delete(memory_removals).where(memory_removals.c.removed_at < before))


def note_lost(conn: Connection, name: str) -> None:
    """Record that an index is empty. :func:`reset` then removes its name from the rows."""
    row = {"name": LOST, "value": f"{uuid.uuid4().hex} {name}"}
    conn.execute(upsert(conn, facts, row, value=replaced))


def lost(conn: Connection) -> str | None:
    """Return the note that an index is empty, ``None`` if there is none."""
    return conn.execute(select(facts.c.value).where(facts.c.name == LOST)).scalar()


def reset(conn: Connection, note: str, limit: int = 5 * BATCH_SIZE) -> int:
    """Remove the name of a lost index from a batch of rows. The last batch deletes the note.

    :param note: the result of :func:`lost`.
    :return: the number of changed rows.
    """
    name = note.partition(" ")[2]
    batch = select(_OF.seq).where(_OF.indexed_in == literal(name)).limit(limit)
    count = conn.execute(
        update(memories).where(_OF.seq.in_(batch)).values(indexed_in=None)
    ).rowcount
    if count < limit:
        conn.execute(delete(facts).where(facts.c.name == LOST, facts.c.value == note))
    return count


def _is_not_in(name: str) -> Any:
    # Not `!=`, because databases use no index for it.
    return or_(_OF.indexed_in.is_(None), _OF.indexed_in < name, _OF.indexed_in > name)
