"""Count the bytes that the envelopes of each project use.

The counters are changed in the same transactions as the envelopes. There is one row for each
project, so a question about all projects reads only as many rows as there are projects. An envelope
counts as its compressed body plus :data:`ROW_BYTES`, an estimate of its rows and their index
entries. Code that removes envelopes gets their bytes from :data:`RETURNED` and subtracts them with
:func:`add`. :func:`recount` rebuilds the rows from the envelopes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, case, delete, func, literal, select

from app.events.tables import envelopes
from app.intake.tables import project_bytes
from app.store import DriverStatement, Store, added, new_if_any, upsert

# An estimate of the bytes of an envelope's row, its event's row and their index entries. It decides
# which project has to make room. When room is needed is measured. Migration 0019 has this number.
ROW_BYTES = 1024
ATTACHMENT = "attachment"


# The bytes of an envelope. SQLite reads a length from the head of a value, not from its content.
TAKEN = func.length(envelopes.c.body) + ROW_BYTES
# The item types are stored in one column, separated by commas.
HAS_ATTACHMENT = ("," + envelopes.c.item_types + ",").like(f"%,{ATTACHMENT},%")
# For ``DELETE … RETURNING``: the project, the bytes, and the bytes of envelopes with attachments.
RETURNED = (
    envelopes.c.project_id,
    TAKEN.label("taken"),
    case((HAS_ATTACHMENT, TAKEN), else_=literal(0)).label("attached"),
)

_ADDITION = DriverStatement(
    lambda dialect: upsert(
        dialect, project_bytes, bytes=added, attachment_bytes=added, stored_at=new_if_any
    )
)


class Bytes(NamedTuple):
    """The bytes a project uses. ``stored_at`` is when an envelope of it was last stored."""

    bytes: int
    attachment_bytes: int = 0
    stored_at: datetime | None = None


class Change:
    """The bytes that a transaction adds to projects or subtracts from them."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = defaultdict(int)
        self.attachment_bytes: dict[int, int] = defaultdict(int)

    def count(self, project_id: int, taken: int, attached: int) -> None:
        """Add one envelope. For an envelope that is removed, the bytes are negative."""
        self.bytes[project_id] += taken
        self.attachment_bytes[project_id] += attached

    def count_stored(self, project_id: int, packed_bytes: int, item_types: str) -> None:
        """Add an envelope that is being stored."""
        taken = packed_bytes + ROW_BYTES
        self.count(project_id, taken, taken if ATTACHMENT in item_types.split(",") else 0)


def add(conn: Connection, change: Change, stored_at: datetime | None = None) -> None:
    """Write the changes of a transaction in one statement.

    :param stored_at: when the envelopes were stored; ``None`` if envelopes were removed.
    """
    rows = [
        {
            "project_id": project_id,
            "bytes": number,
            "attachment_bytes": change.attachment_bytes[project_id],
            "stored_at": stored_at,
        }
        # Sorted by project id, as in all code that writes rows of several projects.
        for project_id, number in sorted(change.bytes.items())
    ]
    _ADDITION.run(conn, rows)


def read(conn: Connection) -> dict[int, Bytes]:
    """Return the bytes of each project, by project id, as the counters have them."""
    columns = project_bytes.c
    query = select(columns.project_id, columns.bytes, columns.attachment_bytes, columns.stored_at)
    return {row[0]: Bytes(*row[1:]) for row in conn.execute(query)}


def counted(conn: Connection) -> dict[int, Bytes]:
    """Return the bytes of each project, summed from the envelopes. The time grows with them."""
    taken = select(*RETURNED).subquery()
    query = select(
        taken.c.project_id, func.sum(taken.c.taken), func.sum(taken.c.attached)
    ).group_by(taken.c.project_id)
    return {row[0]: Bytes(int(row[1]), int(row[2])) for row in conn.execute(query)}


def recount(store: Store) -> None:
    """Rebuild the counters from the envelopes. The store accepts no other write meanwhile."""
    with store.write() as conn:
        known = read(conn)
        conn.execute(delete(project_bytes))
        rows: Mapping[int, Bytes] = counted(conn)
        for project_id, found in sorted(rows.items()):
            stored_at = known[project_id].stored_at if project_id in known else None
            change = Change()
            change.count(project_id, found.bytes, found.attachment_bytes)
            add(conn, change, stored_at)
