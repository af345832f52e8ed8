"""The history of a memory: its last changes, each with the values before and after.

A row has only the fields that a change changed, as they were before it. What they became is in the
next row that has the field, or in the memory. So a history is deleted as a whole, or from its
oldest change on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from app.accounts import audit
from app.memory.tables import memory_changes

# The changes that are kept of each memory, and for how long.
MAX_CHANGES = 20
KEPT = timedelta(days=90)
FIELDS = ("content", "kind", "tags", "metadata", "expires_at")

_OF = memory_changes.c


class Change(NamedTuple):
    """A change of a memory.

    :param by: a user, ``token:NAME``, ``loopback`` or ``command line``.
    :param before: the changed fields with their values; ``after`` has the same fields.
    """

    at: datetime
    by: str
    before: dict[str, Any]
    after: dict[str, Any]


def note(conn: Connection, before: Any, after: Any) -> None:
    """Add a change, if any field changed. The oldest one beyond the limit is deleted.

    :param before: the row of the memory. :param after: the same row after the change.
    """
    old, new = _values(before), _values(after)
    changed = {name: value for name, value in old.items() if value != new[name]}
    if not changed:
        return
    row = {
        "memory_id": after.id,
        "at": after.updated_at,
        "actor": audit.current_caller().actor[:200],
        "before": changed,
    }
    conn.execute(insert(memory_changes).values(row))
    of_memory = _OF.memory_id == after.id
    newest = select(_OF.id).where(of_memory).order_by(_OF.id.desc())
    last = conn.scalar(newest.offset(MAX_CHANGES - 1).limit(1))
    if last is not None:
        conn.execute(delete(memory_changes).where(of_memory, _OF.id < last))


def changes_of(conn: Connection, memory: Any) -> list[Change]:
    """Return the changes of a memory, newest first.

    :param memory: its row.
    """
    query = select(memory_changes).where(_OF.memory_id == memory.id).order_by(_OF.id.desc())
    now = _values(memory)
    changes = []
    for row in conn.execute(query):
        after = {name: now[name] for name in row.before}
        now |= row.before
        changes.append(Change(row.at, row.actor, row.before, after))
    return changes


def remove_of(conn: Connection, memories: Any) -> None:
    """Delete the changes of memories that are about to be deleted.

    :param memories: a query of their ids.
    """
    conn.execute(delete(memory_changes).where(_OF.memory_id.in_(memories)))


def is_old(now: datetime) -> Any:
    """Return the SQL condition that a change is too old to be kept."""
    return _OF.at < now - KEPT


def _values(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in FIELDS}
    expires: datetime | None = row.expires_at
    return values | {"expires_at": expires and expires.isoformat().replace("+00:00", "Z")}
