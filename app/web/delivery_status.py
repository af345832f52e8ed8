"""How far an event is: the event, its trail, and what holds it up, as pages and API show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.delivery.destinations import Destination
from app.delivery.upstreams import held_up_by, next_try_at, why_local
from app.events.queries import StoredEvent, find_event
from app.events.states import WAITING, EnvelopeState
from app.events.trail import Hop, trail
from app.store import utc_now
from app.web.current import current_config, current_destinations


@dataclass(frozen=True)
class Progress:
    """An event and how far it is.

    :param waits_for: as of :func:`stands_by`.
    :param destination: of its project.
    :param upstream_url: where Sentry shows it; ``None`` before it is there, or without
        ``SENTRY_WEB_URL``.
    """

    stored: StoredEvent
    hops: list[Hop]
    waits_for: str
    destination: Destination
    upstream_url: str | None


def follow(conn: Connection, event_id: str) -> Progress | None:
    """Return how far an event is, ``None`` when it is not in the store.

    :param event_id: with or without dashes, in any case.
    """
    stored = find_event(conn, event_id)
    if stored is None:
        return None
    row, now = stored.row, utc_now()
    destination = current_destinations().find(conn, row.project_id)
    waits_for = stands_by(row, destination, now)
    return Progress(
        stored,
        trail(row, stored.event, waits_for, next_try_at(row, destination, now)),
        waits_for,
        destination,
        upstream_url(row, current_config().SENTRY_WEB_URL),
    )


def stands_by(row: Row[Any], destination: Destination, now: datetime) -> str:
    """Return in words what keeps an envelope here, as far as that is its project's destination.

    :param row: with ``state`` and ``item_types``; empty where it is on its way or settled.
    """
    if row.state == EnvelopeState.LOCAL:
        return why_local(destination)
    return held_up_by(destination, row.item_types, now) if row.state in WAITING else ""


def upstream_url(row: Row[Any], web_url: str | None) -> str | None:
    """Return where Sentry shows an event: its search for an event id leads to the event."""
    if row.state != EnvelopeState.DELIVERED or not web_url:
        return None
    return f"{web_url}/issues/?query={row.upstream_id or row.event_id}"
