"""Count the measures of a batch of envelopes, in the transaction that stores it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from app.events.tables import envelopes
from app.stats import declared
from app.stats.additive import kept_minute, minute_of
from app.stats.ai_calls import AI_CALLS, AiCallCounter
from app.stats.counting import Measured, SeriesCounter, Tally
from app.stats.sessions import SESSIONS_OPEN, SessionCounter, SessionUpdates
from app.stats.timings import PERFORMANCE
from app.store import DriverStatement, is_in

_ENVELOPES_OF_EVENTS = DriverStatement(
    lambda dialect, size: select(
        envelopes.c.project_id, envelopes.c.event_id, envelopes.c.uid, envelopes.c.item_types
    ).where(is_in(envelopes.c.event_id, "ids", size)),
    takes="ids",
)


class MeasureCounters:
    """Counts into the rows of one store. Each process has its own cache of series ids."""

    def __init__(self) -> None:
        self._counters = [
            AiCallCounter() if one is AI_CALLS else SeriesCounter(one)
            for one in declared.SERIES
            if one.measure
        ]
        self._by_type: dict[str, list[SeriesCounter]] = {}
        for counter in self._counters:
            self._by_type.setdefault(counter.declared.item_type, []).append(counter)
        self._sessions = SessionCounter()

    def add(
        self, conn: Connection, stored: Sequence[Measured], now: datetime | None = None
    ) -> None:
        """Count the measures of envelopes that were just stored. The caller commits.

        The measures of an event are counted once, however often its envelope came.

        :param now: envelopes received on days that are summed up to hours by this moment are
            counted by the hour.
        """
        for item_type, counters in self._by_type.items():
            fields = [counter.declared.measure for counter in counters]
            some = [one for one in stored if any(getattr(one.measures, name) for name in fields)]
            once = list(_once(conn, some, item_type))
            for counter in counters if once else ():
                counter.count(conn, once, now)
        self._sessions.add(conn, _told(stored, now))

    def add_timings(self, conn: Connection, tally: Tally, now: datetime) -> None:
        """Count requests that were added up in a tally. The caller commits."""
        for counter in self._counters:
            if counter.declared is PERFORMANCE:
                counter.add(conn, tally, now)


def _told(stored: Sequence[Measured], now: datetime | None) -> list[SessionUpdates]:
    return [
        SessionUpdates(one.project_id, _session_minute(one.received_at, now), sessions)
        for one in stored
        for sessions in one.measures.sessions
    ]


def _session_minute(received_at: datetime, now: datetime | None) -> int:
    minute = minute_of(received_at)
    return minute if now is None else kept_minute(minute, now, SESSIONS_OPEN)


def _once(conn: Connection, stored: Sequence[Measured], item_type: str) -> Iterator[Measured]:
    """Yield envelopes without those whose event id came before with an item of this type. Envelopes
    without an event id are all included.
    """
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
    """Return project and event id of events that came before in an envelope of another batch."""
    ids = [envelope.event_id for envelope in stored if envelope.event_id]
    own = {envelope.uid for envelope in stored}
    return {
        (project_id, event_id)
        for project_id, event_id, uid, types in _ENVELOPES_OF_EVENTS.fetch(conn, {"ids": ids})
        if uid not in own and item_type in types.split(",")
    }
