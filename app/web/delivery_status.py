"""The delivery status of an event: the event, its trail, why it waits, and who was notified."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.alerts.notified import Notified, notified
from app.delivery.destinations import Destination
from app.delivery.upstreams import held_up_by, next_try_at, why_local
from app.events.queries import StoredEvent, find_event, find_events
from app.events.states import WAITING, EnvelopeState
from app.events.trail import Hop, trail
from app.store import utc_now
from app.web.current import current_config, current_destinations

# States that do not change by themselves.
FINAL = frozenset(EnvelopeState) - frozenset(WAITING)


@dataclass(frozen=True)
class Progress:
    """An event and its delivery status.

    :param waits_for: the reason why it waits, from :func:`stands_by`.
    :param destination: the destination of its project.
    :param notified: who was notified; ``None`` if no rule was to look at the event.
    :param upstream_url: the event's page in Sentry; ``None`` before it is delivered, or without
        ``SENTRY_WEB_URL``.
    """

    stored: StoredEvent
    hops: list[Hop]
    waits_for: str
    destination: Destination
    notified: Notified | None
    upstream_url: str | None


def follow(
    conn: Connection,
    event_id: str,
    destination_of: Callable[[Connection, int], Destination] | None = None,
) -> Progress | None:
    """Return the delivery status of an event, ``None`` if it is not in the store.

    :param event_id: with or without dashes, in any case.
    :param destination_of: returns the destination of a project, if the page has read them all.
    """
    stored = find_event(conn, event_id)
    if stored is None:
        return None
    row = stored.row
    destination = (destination_of or current_destinations().find)(conn, row.project_id)
    [told] = notified(conn, [row])
    return _progress(stored, destination, told)


def follow_all(conn: Connection, ids: Collection[tuple[int, str]]) -> dict[str, Progress]:
    """Return the delivery status of events by event id, without those that are not in the store.

    It takes three queries, however many events there are.

    :param ids: project id and event id of each, at most some hundred.
    """
    found = find_events(conn, ids)
    projects = sorted({stored.row.project_id for stored in found})
    destinations = {one.project_id: one for one in current_destinations().find_all(conn, projects)}
    told = notified(conn, [stored.row for stored in found])
    return {
        stored.row.event_id: _progress(stored, destinations[stored.row.project_id], one)
        for stored, one in zip(found, told, strict=True)
        if stored.row.project_id in destinations
    }


def _progress(stored: StoredEvent, destination: Destination, told: Notified | None) -> Progress:
    row, now = stored.row, utc_now()
    waits_for = stands_by(row, destination, now)
    hops = trail(row, stored.event, waits_for, next_try_at(row, destination, now))
    return Progress(
        stored,
        [*hops, told.hop] if told else hops,
        waits_for,
        destination,
        told,
        upstream_url(row, current_config().SENTRY_WEB_URL),
    )


def is_settled(progress: Progress) -> bool:
    """Return whether the delivery status does not change by itself any more."""
    is_told = progress.notified is None or progress.notified.is_settled
    return progress.stored.row.state in FINAL and is_told


def stands_by(row: Row[Any], destination: Destination, now: datetime) -> str:
    """Return the reason why an envelope is not sent, if its project's destination is the reason.

    :param row: a row with ``state`` and ``item_types``. The text is empty if the envelope is on
        its way or in a final state.
    """
    if row.state == EnvelopeState.LOCAL:
        return why_local(destination)
    return held_up_by(destination, row.item_types, now) if row.state in WAITING else ""


def upstream_url(row: Row[Any], web_url: str | None) -> str | None:
    """Return the event's page in Sentry: a search for its event id, which leads to the event."""
    if row.state != EnvelopeState.DELIVERED or not web_url:
        return None
    return f"{web_url}/issues/?query={row.upstream_id or row.event_id}"
