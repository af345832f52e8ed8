"""What counts the measures of a batch, in the transaction that stores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from app.events.sessions import SessionBook, Told
from app.events.tables import envelopes
from app.events.timings import Timed, TimingBook, minute_of, timed
from app.protocol.measures import Measures

_ENVELOPES_OF_EVENTS = select(
    envelopes.c.project_id, envelopes.c.event_id, envelopes.c.uid, envelopes.c.item_types
).where(envelopes.c.event_id.in_(bindparam("ids", expanding=True)))


class Measured(NamedTuple):
    """A stored envelope and what is counted of it."""

    project_id: int
    uid: str
    event_id: str | None
    received_at: datetime
    measures: Measures


class MeasureBooks:
    """Counts into the rows of one store; what it remembers is one process's."""

    def __init__(self) -> None:
        self.timings = TimingBook()
        self.sessions = SessionBook()

    def add(self, conn: Connection, stored: Sequence[Measured]) -> None:
        """Count what envelopes hold that were stored just now; the caller commits."""
        self.timings.add(conn, _timed(conn, [one for one in stored if one.measures.timings]))
        self.sessions.add(conn, _told([one for one in stored if one.measures.sessions]))


def _told(stored: list[Measured]) -> list[Told]:
    return [
        Told(one.project_id, minute_of(one.received_at), sessions)
        for one in stored
        for sessions in one.measures.sessions
    ]


def _timed(conn: Connection, stored: list[Measured]) -> Counter[Timed]:
    """Count transactions, each once however often its envelope came."""
    known = _known_transactions(conn, stored)
    counts: Counter[Timed] = Counter()
    for one in stored:
        if one.event_id:
            key = one.project_id, one.event_id
            if key in known:
                continue
            known.add(key)
        minute = minute_of(one.received_at)
        counts.update(timed(one.project_id, timing, minute) for timing in one.measures.timings)
    return counts


def _known_transactions(conn: Connection, stored: list[Measured]) -> set[tuple[int, str]]:
    """Return the projects and ids of those that came before, in an envelope of another batch."""
    ids = [one.event_id for one in stored if one.event_id]
    if not ids:
        return set()
    own = {one.uid for one in stored}
    return {
        (project_id, event_id)
        for project_id, event_id, uid, types in conn.execute(_ENVELOPES_OF_EVENTS, {"ids": ids})
        if uid not in own and "transaction" in types.split(",")
    }
