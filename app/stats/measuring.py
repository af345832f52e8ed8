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
from app.stats.ai_calls import AiCallCounter, Received
from app.stats.metrics import MetricCounter, MetricSample
from app.stats.series import MINUTES_KEPT, SESSIONS_OPEN, kept_minute, minute_of
from app.stats.sessions import SessionCounter, SessionUpdates
from app.stats.timings import TimedRequest, TimingCounter, timed

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


class MeasureCounters:
    """Counts into the rows of one store; what it remembers is one process's."""

    def __init__(self) -> None:
        self.timings = TimingCounter()
        self.metrics = MetricCounter()
        self.calls = AiCallCounter()
        self.sessions = SessionCounter()

    def add(
        self, conn: Connection, stored: Sequence[Measured], now: datetime | None = None
    ) -> None:
        """Count what envelopes hold that were stored just now, each event's once however often its
        envelope came; the caller commits.

        :param now: what came on days that are rolled up by then is counted by the hour.
        """
        told = [_kept(envelope, now, SESSIONS_OPEN) for envelope in stored]
        stored = [_kept(envelope, now, MINUTES_KEPT) for envelope in stored]
        of_spans = [
            envelope for envelope in stored if envelope.measures.timings or envelope.measures.calls
        ]
        once = list(_once(conn, of_spans, "transaction"))
        self.timings.add(conn, _timed(once))
        self.calls.add(conn, _calls(once))
        measured = [envelope for envelope in stored if envelope.measures.metrics]
        self.metrics.add(conn, _sent(_once(conn, measured, metrics.ITEM_TYPE)))
        self.sessions.add(conn, _told(told))


def _kept(measured: Measured, now: datetime | None, kept: timedelta) -> Measured:
    minute = minute_of(measured.received_at)
    first = minute if now is None else kept_minute(minute, now, kept)
    if first == minute:
        return measured
    return measured._replace(received_at=measured.received_at - timedelta(minutes=minute - first))


def _timed(stored: Iterable[Measured]) -> Counter[TimedRequest]:
    counts: Counter[TimedRequest] = Counter()
    for envelope in stored:
        minute = minute_of(envelope.received_at)
        counts.update(
            timed(envelope.project_id, timing, minute) for timing in envelope.measures.timings
        )
    return counts


def _sent(stored: Iterable[Measured]) -> list[MetricSample]:
    return [
        MetricSample(envelope.project_id, envelope.received_at, metric)
        for envelope in stored
        for metric in envelope.measures.metrics
    ]


def _told(stored: Iterable[Measured]) -> list[SessionUpdates]:
    return [
        SessionUpdates(envelope.project_id, minute_of(envelope.received_at), sessions)
        for envelope in stored
        for sessions in envelope.measures.sessions
    ]


def _calls(stored: Iterable[Measured]) -> list[Received]:
    return [
        Received(envelope.project_id, envelope.uid, envelope.received_at, call)
        for envelope in stored
        for call in envelope.measures.calls
    ]


def _once(conn: Connection, stored: Sequence[Measured], item_type: str) -> Iterator[Measured]:
    """Leave out those whose event id came before with such an item; without an id, none."""
    known = _known_events(conn, stored, item_type)
    for envelope in stored:
        if envelope.event_id:
            key = envelope.project_id, envelope.event_id
            if key in known:
                continue
            known.add(key)
        yield envelope


def _known_events(
    conn: Connection, stored: Sequence[Measured], item_type: str
) -> set[tuple[int, str]]:
    """Return the projects and ids of those that came before, in an envelope of another batch."""
    ids = [envelope.event_id for envelope in stored if envelope.event_id]
    if not ids:
        return set()
    own = {envelope.uid for envelope in stored}
    return {
        (project_id, event_id)
        for project_id, event_id, uid, types in conn.execute(_ENVELOPES_OF_EVENTS, {"ids": ids})
        if uid not in own and item_type in types.split(",")
    }
