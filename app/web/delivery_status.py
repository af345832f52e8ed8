"""The delivery status of an event: the event, its trail, why it waits, and who was notified."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.alerts.notified import Notified, notified
from app.confirmation.reading import Confirmation, confirmations_of
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
    :param upstream_url: the event's page in Sentry; ``None`` before it is delivered, or if that is
        not known.
    :param confirmation: whether Sentry shows it; ``None`` before it is delivered.
    """

    stored: StoredEvent
    hops: list[Hop]
    waits_for: str
    destination: Destination
    notified: Notified | None
    upstream_url: str | None
    confirmation: Confirmation | None = None


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
    known = confirmation_of_row(conn, row, destination)
    return _progress(stored, destination, told, known)


def follow_all(conn: Connection, ids: Collection[tuple[int, str]]) -> dict[str, Progress]:
    """Return the delivery status of events by event id, without those that are not in the store.

    It takes six queries at most, however many events there are.

    :param ids: project id and event id of each, at most some hundred.
    """
    found = find_events(conn, ids)
    projects = sorted({stored.row.project_id for stored in found})
    destinations = {one.project_id: one for one in current_destinations().find_all(conn, projects)}
    told = notified(conn, [stored.row for stored in found])
    accepted = [stored.row for stored in found if stored.row.state == EnvelopeState.DELIVERED]
    known = confirmations_of(
        conn,
        {(row.project_id, row.event_id) for row in accepted},
        destinations.values(),
        current_destinations(),
    )
    return {
        stored.row.event_id: _progress(
            stored,
            destinations[stored.row.project_id],
            one,
            known.get((stored.row.project_id, stored.row.event_id)),
        )
        for stored, one in zip(found, told, strict=True)
        if stored.row.project_id in destinations
    }


def confirmation_of_row(
    conn: Connection, row: Row[Any], destination: Destination
) -> Confirmation | None:
    """Return whether Sentry shows an event, ``None`` if it has not accepted it.

    :param row: with ``project_id``, ``event_id`` and ``state``.
    """
    if row.state != EnvelopeState.DELIVERED:
        return None
    of = row.project_id, row.event_id
    return confirmations_of(conn, [of], [destination], current_destinations())[of]


def _progress(
    stored: StoredEvent,
    destination: Destination,
    told: Notified | None,
    known: Confirmation | None,
) -> Progress:
    row, now = stored.row, utc_now()
    waits_for = stands_by(row, destination, now)
    hops = trail(row, stored.event, waits_for, next_try_at(row, destination, now))
    confirmed = known.hop() if known else None
    return Progress(
        stored,
        [*hops, *([confirmed] if confirmed else []), *([told.hop] if told else [])],
        waits_for,
        destination,
        told,
        upstream_url(row, current_config().SENTRY_WEB_URL, known),
        known,
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


def may_be_confirmed_soon(progress: Progress) -> bool:
    """Return whether Sentry is asked about the event within the next minutes."""
    row, known = progress.stored.row, progress.confirmation
    return known is not None and known.may_come(row.settled_at or row.stored_at, utc_now())


def upstream_url(
    row: Row[Any], web_url: str | None, known: Confirmation | None = None
) -> str | None:
    """Return the event's page in Sentry.

    :param known: if Sentry shows the event, the address is that of its page. Otherwise it is a
        search for its event id, which leads to the event.
    """
    page = known.page(web_url) if known else None
    if page:
        return page
    if row.state != EnvelopeState.DELIVERED or not web_url:
        return None
    return f"{web_url}/issues/?query={row.upstream_id or row.event_id}"
