"""How far the walk over the envelopes has come."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, literal, select, update

from app.events.tables import envelopes
from app.signals.tables import signal_state, unread_envelopes
from app.store import replaced, upsert

NAME = "envelopes"


def read_up_to(conn: Connection) -> int:
    """Return the row id of the last envelope that was read."""
    return conn.scalar(select(signal_state.c.up_to)) or 0


def write_up_to(conn: Connection, up_to: int) -> None:
    """Write the row id of the last envelope that was read."""
    conn.execute(upsert(conn, signal_state, up_to=replaced), {"name": NAME, "up_to": up_to})


def note_unread(conn: Connection, ids: Sequence[int], *, is_partly_read: bool = False) -> None:
    """Note envelopes that could not be read, or in part, as far as they are still there."""
    if ids:
        there = select(envelopes.c.id, literal(is_partly_read)).where(envelopes.c.id.in_(ids))
        names = ["envelope_id", "is_partly_read"]
        conn.execute(insert(unread_envelopes).from_select(names, there))


def step_back(conn: Connection) -> None:
    """Set the last envelope that was read to the last one there is, after envelopes were removed.

    SQLite uses the id of a removed envelope again, if it was the last one.
    """
    last = select(func.coalesce(func.max(envelopes.c.id), 0)).scalar_subquery()
    conn.execute(update(signal_state).where(signal_state.c.up_to > last).values(up_to=last))
