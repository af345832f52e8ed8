"""How many bytes the envelopes of each project take, counted in the transactions that change them.

A row a project, so that a question about all projects reads as many rows as there are projects.
What an envelope takes is its compressed body and :data:`ROW_BYTES`, which stands for its rows and
their entries in indexes. Whatever removes envelopes gets their bytes from :data:`RETURNED` and
takes them off with :func:`add`; :func:`recount` makes the rows anew from the envelopes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, case, delete, func, literal, select

from app.events.tables import envelopes
from app.intake.tables import project_bytes
from app.store import Store, added, new_if_any, upsert

# An estimate of the rows of an envelope and its event with their entries in indexes. It decides who
# pays, not when: that is measured. Migration 0019 has the same number.
ROW_BYTES = 1024
ATTACHMENT = "attachment"


# What the row of an envelope takes. A length is read from the head of a value, not from its text.
TAKEN = func.length(envelopes.c.body) + ROW_BYTES
# Item types stand in one column, separated by commas.
HAS_ATTACHMENT = ("," + envelopes.c.item_types + ",").like(f"%,{ATTACHMENT},%")
# For ``DELETE … RETURNING``: project, bytes, and how many of these are an attachment's.
RETURNED = (
    envelopes.c.project_id,
    TAKEN.label("taken"),
    case((HAS_ATTACHMENT, TAKEN), else_=literal(0)).label("attached"),
)


class Bytes(NamedTuple):
    """What a project takes. ``stored_at``: when something of it was last stored."""

    bytes: int
    attachment_bytes: int = 0
    stored_at: datetime | None = None


class Change:
    """What a transaction adds to projects, or takes from them."""

    def __init__(self) -> None:
        self.bytes: Counter[int] = Counter()
        self.attachment_bytes: Counter[int] = Counter()

    def count(self, project_id: int, taken: int, attached: int) -> None:
        """Add one envelope; what is removed is negative."""
        self.bytes[project_id] += taken
        self.attachment_bytes[project_id] += attached

    def count_stored(self, project_id: int, packed_bytes: int, item_types: str) -> None:
        """Add an envelope that is stored now."""
        taken = packed_bytes + ROW_BYTES
        self.count(project_id, taken, taken if ATTACHMENT in item_types.split(",") else 0)


def add(conn: Connection, change: Change, stored_at: datetime | None = None) -> None:
    """Write what a transaction changed, in one statement.

    :param stored_at: of what was stored; ``None`` where something was removed.
    """
    rows = [
        {
            "project_id": project_id,
            "bytes": number,
            "attachment_bytes": change.attachment_bytes[project_id],
            "stored_at": stored_at,
        }
        # In order, as all that write rows of several projects do.
        for project_id, number in sorted(change.bytes.items())
    ]
    if rows:
        statement = upsert(
            conn, project_bytes, bytes=added, attachment_bytes=added, stored_at=new_if_any
        )
        conn.execute(statement, rows)


def read(conn: Connection) -> dict[int, Bytes]:
    """Return what each project takes, by its id."""
    columns = project_bytes.c
    query = select(columns.project_id, columns.bytes, columns.attachment_bytes, columns.stored_at)
    return {row[0]: Bytes(*row[1:]) for row in conn.execute(query)}


def counted(conn: Connection) -> dict[int, Bytes]:
    """Return what the rows of the envelopes say, which takes the longer the more there are."""
    taken = select(*RETURNED).subquery()
    query = select(
        taken.c.project_id, func.sum(taken.c.taken), func.sum(taken.c.attached)
    ).group_by(taken.c.project_id)
    return {row[0]: Bytes(int(row[1]), int(row[2])) for row in conn.execute(query)}


def recount(store: Store) -> None:
    """Make the counters anew from the envelopes; the store takes nothing else meanwhile."""
    with store.write() as conn:
        known = read(conn)
        conn.execute(delete(project_bytes))
        rows: Mapping[int, Bytes] = counted(conn)
        for project_id, found in sorted(rows.items()):
            stored_at = known[project_id].stored_at if project_id in known else None
            change = Change()
            change.count(project_id, found.bytes, found.attachment_bytes)
            add(conn, change, stored_at)
