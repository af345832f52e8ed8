"""What SQL knows of an index: which memories it holds, which it lacks, what it has to forget."""

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

# Rows that an index is given at once: 256 dimensions of them are 100 KiB on the wire as they are,
# some 600 KiB as JSON.
BATCH_SIZE = 100
# The fact that an index is empty; its name is kept with a token, since that may happen again.
LOST = "memory_index_lost"

_OF = memories.c
_COLUMNS = (
    *(_OF[name] for name in ("id", "user_id", "vector", "kind", "tags", "created_at")),
    _OF.expires_at,
    _OF.version,
)


def point_of(row: Any) -> Point:
    """Return what an index holds of a memory.

    :param row: with its vector.
    """
    expires: datetime | None = row.expires_at
    return Point(
        id=row.id,
        user_id=row.user_id,
        vector=unpack(row.vector),
        kind=row.kind,
        tags=tuple(row.tags),
        created_at=int(row.created_at.timestamp()),
        # Rounded up: what is found is read again, and held against the clock there.
        expires_at=None if expires is None else int(-(-expires.timestamp() // 1)),
    )


def find_point(conn: Connection, id: str) -> Any:
    """Return a memory as it has to be put into an index."""
    return conn.execute(select(*_COLUMNS).where(_OF.id == id)).first()


def lacking(conn: Connection, name: str, model: str, limit: int = BATCH_SIZE) -> list[Row[Any]]:
    """Return memories of a model that an index does not hold, as they are to be put into it.

    None where only those of other models are next, which have to be embedded first.
    """
    # The model is no condition: SQLite would read all memories by it.
    rows: list[Row[Any]] = list(
        conn.execute(select(*_COLUMNS, _OF.model).where(_is_not_in(name)).limit(limit))
    )
    return [row for row in rows if row.model == model]


def count_lacking(conn: Connection, name: str, user_id: str | None = None) -> int:
    """Return how many memories an index does not hold, of one user or of all."""
    query = select(func.count()).where(_is_not_in(name))
    if user_id is not None:
        # Mostly none is missing: an expression keeps SQLite from reading all of the user's rows.
        query = query.where(_OF.user_id.concat("") == user_id)
    return int(conn.execute(query).scalar_one())


def count_held(conn: Connection, name: str) -> int:
    """Return how many memories an index should hold."""
    query = select(func.count()).where(_OF.indexed_in == name)
    return int(conn.execute(query).scalar_one())


def mark(conn: Connection, name: str, put: Sequence[tuple[str, int]]) -> int:
    """Note that an index holds memories in the versions that were put; return how many it does.

    One that was changed meanwhile may have been put in its older version after the newer one: it is
    put again. One that was removed meanwhile has to go again.

    :param put: ids and versions.
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
    """Note that an index has to forget ids."""
    rows = [{"id": id, "index_name": name, "removed_at": utc_now()} for id in ids]
    if rows:
        conn.execute(insert(conn, memory_removals).on_conflict_do_nothing(), rows)


def removals(conn: Connection, name: str, before: datetime, limit: int = BATCH_SIZE) -> list[str]:
    """Return ids that an index has to forget, removed before a moment."""
    of = memory_removals.c
    query = select(of.id).where(of.index_name == name, of.removed_at < before)
    return list(conn.scalars(query.order_by(of.removed_at).limit(limit)))


def count_removals(conn: Connection, name: str) -> int:
    """Return how many ids an index has still to forget."""
    query = select(func.count()).where(memory_removals.c.index_name == name)
    return int(conn.execute(query).scalar_one())


def finish_removals(conn: Connection, name: str, ids: Sequence[str]) -> None:
    """Note that an index has forgotten ids; those that were kept again since are put again."""
    of = memory_removals.c
    conn.execute(delete(memory_removals).where(of.index_name == name, of.id.in_(ids)))
    conn.execute(update(memories).where(_OF.id.in_(ids)).values(indexed_in=None))


def has_removals(conn: Connection, before: datetime) -> bool:
    """Tell whether something was removed before a moment that an index still has to forget."""
    query = select(memory_removals.c.id).where(memory_removals.c.removed_at < before)
    return conn.execute(query.limit(1)).first() is not None


def forget_removals(conn: Connection, before: datetime) -> None:
    """Drop what an index that nobody uses any more would have had to forget."""
    conn.execute(delete(memory_removals).where(memory_removals.c.removed_at < before))


def note_lost(conn: Connection, name: str) -> None:
    """Note that an index is empty; :func:`reset` takes its name off the rows."""
    row = {"name": LOST, "value": f"{uuid.uuid4().hex} {name}"}
    conn.execute(upsert(conn, facts, row, value=replaced))


def lost(conn: Connection) -> str | None:
    """Return the note that an index is empty, ``None`` if there is none."""
    return conn.execute(select(facts.c.value).where(facts.c.name == LOST)).scalar()


def reset(conn: Connection, note: str, limit: int = 5 * BATCH_SIZE) -> int:
    """Take the name of a lost index off a batch of rows; the note goes with the last one."""
    name = note.partition(" ")[2]
    batch = select(_OF.seq).where(_OF.indexed_in == literal(name)).limit(limit)
    count = conn.execute(
        update(memories).where(_OF.seq.in_(batch)).values(indexed_in=None)
    ).rowcount
    if count < limit:
        conn.execute(delete(facts).where(facts.c.name == LOST, facts.c.value == note))
    return count


def _is_not_in(name: str) -> Any:
    # Not `!=`, for which no database uses an index.
    return or_(_OF.indexed_in.is_(None), _OF.indexed_in < name, _OF.indexed_in > name)
