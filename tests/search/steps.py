"""Steps of the tests of search: store events, index them, and ask."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from app.events.tables import events
from app.inputs.period import Range, period_range
from app.protocol.envelope import Envelope, Item
from app.search.events import search_events
from app.search.grammar import parse
from app.search.indexing import catch_up
from app.search.issues import issues_with
from app.store import Store, utc_now
from tests.conftest import Parts

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ALL = period_range("all", NOW)


def send(parts: Parts, payload: dict[str, Any], project_id: int = 1, **more: Any) -> str:
    """Store an event, and return its id."""
    event_id = uuid.uuid4().hex
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload | more)])
    parts.intake.accept(envelope, project_id=project_id, timeout_s=5)
    return event_id


def send_all(parts: Parts, payloads: Iterable[dict[str, Any]]) -> list[str]:
    """Store events, index them, and return their ids."""
    ids = [send(parts, payload) for payload in payloads]
    catch_up(parts.store)
    return ids


def found(store: Store, query: str, range: Range = ALL, **options: Any) -> list[str]:
    """Return the ids of the events that a query finds, the newest first."""
    with store.read() as conn:
        matches = search_events(conn, parse(query).of_event, range, limit=1000, **options)
        rows = conn.execute(select(events.c.id, events.c.event_id)).all()
    names = {row.id: row.event_id for row in rows}
    return [names[number] for number in matches.ids]


def issues_found(store: Store, query: str, range: Range = ALL, **options: Any) -> set[int]:
    """Return the row ids of the issues that a query finds."""
    with store.read() as conn:
        return set(issues_with(conn, parse(query).of_event, range, **options).ids)


def issue_of(store: Store, event_id: str) -> int:
    with store.read() as conn:
        query = select(events.c.issue_id).where(events.c.event_id == event_id)
        return int(conn.execute(query).scalar_one())


def now() -> datetime:
    return utc_now()
