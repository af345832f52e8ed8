"""Reading events: pages of a list, and one event whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from app.events.tables import envelopes, events
from app.projects import projects
from app.protocol.envelope import parse_envelope
from app.protocol.event import Event, clean_text, parse_event_id, read_event
from app.protocol.packing import unpack

# How an event's envelope fares, for the trail and the badge of a list.
DELIVERY_COLUMNS = (
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.settled_at,
    envelopes.c.next_at,
    envelopes.c.attempts,
    envelopes.c.upstream_id,
    envelopes.c.item_types,
)


@dataclass(frozen=True)
class EventFilter:
    """What a list is narrowed to; ``None`` means whatever.

    :param text: part of title, culprit or transaction in any case, or an event id.
    :param since: received at or after this moment; ``until``: before it.
    """

    project_id: int | None = None
    issue_id: int | None = None
    level: str | None = None
    environment: str | None = None
    release: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return the query narrowed to this filter."""
        for name in ("project_id", "issue_id", "level", "environment", "release"):
            value = getattr(self, name)
            if value is not None:
                value = clean_text(value) if isinstance(value, str) else value
                query = query.where(events.c[name] == value)
        if self.since:
            query = query.where(events.c.received_at >= self.since)
        if self.until:
            query = query.where(events.c.received_at < self.until)
        return query.where(_contains(clean_text(self.text))) if self.text else query


@dataclass(frozen=True)
class StoredEvent:
    """One event with everything the store has of it.

    :param row: its row, with the envelope's ``state`` and ``reason``.
    :param payload: the event as it was stored, scrubbed.
    """

    row: Row[Any]
    event: Event
    payload: dict[str, Any]


def list_events(
    conn: Connection, filter: EventFilter, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return event rows, newest first.

    :param before: the row id after which the page goes on, exclusive.
    """
    query = filter.apply(select(events, *DELIVERY_COLUMNS))
    query = query.join(envelopes, envelopes.c.id == events.c.envelope_id)
    if before is not None:
        query = query.where(events.c.id < before)
    return list(conn.execute(query.order_by(events.c.id.desc()).limit(limit)))


def find_event(
    conn: Connection, event_id: str, project_id: int | None = None
) -> StoredEvent | None:
    """Return one event whole, ``None`` when it is not there.

    :param event_id: with or without dashes, in any case.
    """
    parsed = parse_event_id(event_id)
    if parsed is None:
        return None
    query = (
        select(events, *DELIVERY_COLUMNS, envelopes.c.body)
        .join(envelopes, envelopes.c.id == events.c.envelope_id)
        # By project, as the index is: without one, every event would be looked at.
        .where(events.c.project_id.in_(select(projects.c.id)), events.c.event_id == parsed)
        .order_by(events.c.project_id)
    )
    if project_id is not None:
        query = query.where(events.c.project_id == project_id)
    row = conn.execute(query).first()
    return None if row is None else _stored(row)


def read_stored(body: bytes, event_id: str, received_at: datetime) -> tuple[Event, dict[str, Any]]:
    """Read an event and its payload out of a stored envelope.

    :raise ValueError: the envelope is damaged.
    """
    item = parse_envelope(unpack(body)).event()
    payload = item.payload if item else {}
    return read_event(payload, event_id=event_id, received_at=received_at), payload


def _stored(row: Row[Any]) -> StoredEvent:
    return StoredEvent(row, *read_stored(row.body, row.event_id, row.received_at))


def _contains(text: str) -> Any:
    columns = (events.c.title, events.c.culprit, events.c.transaction)
    matches = [column.icontains(text, autoescape=True) for column in columns]
    event_id = parse_event_id(text)
    return or_(*matches, events.c.event_id == event_id) if event_id else or_(*matches)
