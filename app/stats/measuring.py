"""What counts the measures of a batch, in the transaction that stores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from app.events.tables import envelopes
from app.protocol import metrics
from app.protocol.measures import Measures
from app.stats.ai_calls import CallBook, Received
from app.stats.metrics import MetricBook, Sent
from app.stats.series import MINUTES_KEPT, SESSIONS_OPEN, kept_minute, minute_of
from app.stats.sessions import SessionBook, Told
from app.stats.timings import Timed, TimingBook, timed

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
        self.metrics = MetricBook()
        self.calls = CallBook()
        self.sessions = SessionBook()

    def add(
        self, conn: Connection, stored: Sequence[Measured], now: datetime | None = None
    ) -> None:
        """Count what envelopes hold that were stored just now, each event's once however often its
        envelope came; the caller commits.

        :param now: what came on days that are rolled up by then is counted by the hour.
        """
        told = [_kept(one, now, SESSIONS_OPEN) for one in stored]
        stored = [_kept(one, now, MINUTES_KEPT) for one in stored]
        of_spans = [one for one in stored if one.measures.timings or one.measures.calls]
        once = list(_once(conn, of_spans, "transaction"))
        self.timings.add(conn, _timed(once))
        self.calls.add(conn, _calls(once))
        measured = [one for one in stored if one.measures.metrics]
        self.metrics.add(conn, _sent(_once(conn, measured, metrics.ITEM_TYPE)))
        self.sessions.add(conn, _told(told))


def _kept(one: Measured, now: datetime | None, kept: timedelta) -> Measured:
    minute = minute_of(one.received_at)
    first = minute if now is None else kept_minute(minute, now, kept)
    if first == minute:
        return one
    return one._replace(received_at=one.received_at - timedelta(minutes=minute - first))


def _timed(stored: Iterable[Measured]) -> Counter[Timed]:
    counts: Counter[Timed] = Counter()
    for one in stored:
        minute = minute_of(one.received_at)
        counts.update(timed(one.project_id, timing, minute) for timing in one.measures.timings)
    return counts


def _sent(stored: Iterable[Measured]) -> list[Sent]:
    return [
        Sent(one.project_id, one.received_at, metric)
        for one in stored
        for metric in one.measures.metrics
    ]


def _told(stored: Iterable[Measured]) -> list[Told]:
    return [
        Told(one.project_id, minute_of(one.received_at), sessions)
        for one in stored
        for sessions in one.measures.sessions
    ]


def _calls(stored: Iterable[Measured]) -> list[Received]:
    return [
        Received(one.project_id, one.uid, one.received_at, call)
        for one in stored
        for call in one.measures.calls
    ]


def _once(conn: Connection, stored: Sequence[Measured], item_type: str) -> Iterator[Measured]:
    """Leave out those whose event id came before with such an item; without an id, none."""
    known = _known_events(conn, stored, item_type)
    for one in stored:
        if one.event_id:
            key = one.project_id, one.event_id
            if key in known:
                continue
            known.add(key)
        yield one


def _known_events(
    conn: Connection, stored: Sequence[Measured], item_type: str
) -> set[tuple[int, str]]:
    """Return the projects and ids of those that came before, in an envelope of another batch."""
    ids = [one.event_id for one in stored if one.event_id]
    if not ids:
        return set()
    own = {one.uid for one in stored}
    return {
        (project_id, event_id)
        for project_id, event_id, uid, types in conn.execute(_ENVELOPES_OF_EVENTS, {"ids": ids})
        if uid not in own and item_type in types.split(",")
    }
