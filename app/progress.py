"""How far an event is: the event, its trail, and what holds it up, as pages and API show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.db import utc_now
from app.delivery.destinations import Destination
from app.events.queries import StoredEvent, find_event
from app.events.trail import Hop, trail
from app.protocol.rate_limits import longest
from app.services import Services


@dataclass(frozen=True)
class Progress:
    """An event and how far it is.

    :param upstream_url: where Sentry shows it; ``None`` before it is there, or without
        ``SENTRY_WEB_URL``.
    """

    stored: StoredEvent
    hops: list[Hop]
    upstream_url: str | None


def follow(conn: Connection, parts: Services, event_id: str) -> Progress | None:
    """Return how far an event is, ``None`` when it is not in the store.

    :param event_id: with or without dashes, in any case.
    """
    stored = find_event(conn, event_id)
    if stored is None:
        return None
    row = stored.row
    waits_for = ""
    if row.state in ("pending", "retry"):
        waits_for = held_up_by(
            parts.destinations.find(conn, row.project_id), row.item_types, utc_now()
        )
    return Progress(
        stored,
        trail(row, stored.event, waits_for),
        upstream_url(row, parts.config.SENTRY_WEB_URL),
    )


def held_up_by(destination: Destination, item_types: str, now: datetime) -> str:
    """Return what a whole destination waits for, in words; empty when nothing holds it up."""
    if destination.dsn is None:
        return "waits: its project has no DSN any more"
    if destination.paused_at is not None:
        return f"paused by a person since {_clock(destination.paused_at)}"
    if destination.open_since is not None:
        probe = f"; next probe at {_clock(destination.probe_at)}" if destination.probe_at else ""
        return f"waits for Sentry ({destination.cause}){probe}"
    until = longest(destination.limits, item_types.split(","))
    if until is not None and until > now:
        return f"429: Sentry asked to wait until {_clock(until)}"
    return ""


def upstream_url(row: Row[Any], web_url: str | None) -> str | None:
    """Return where Sentry shows an event: its search for an event id leads to the event."""
    if row.state != "delivered" or not web_url:
        return None
    return f"{web_url}/issues/?query={row.upstream_id or row.event_id}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
