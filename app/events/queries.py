"""Reading events: pages of a list, and one event whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, column, select, table

from app.events.tables import envelopes, events
from app.protocol.envelope import parse_envelope
from app.protocol.event import Event, clean_text, parse_event_id, read_event
from app.protocol.lenient import search_text
from app.protocol.packing import unpack
from app.store.paging import Count, Listing, Page, count_rows, hidden, is_small, read_page
from app.store.searching import contains

# The index of event ids begins with the project. Its table belongs to a package beside this one.
_PROJECT_IDS = table("projects", column("id")).c.id

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

    :param text: part of title, culprit or transaction in any case, or the id of an event, which is
        then the only one.
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

    def listing(self, conn: Connection, *, descending: bool = True) -> Listing:
        """Return the list of events that this filter leaves, sorted by row id."""
        key = [events.c.id]
        others = [*self._others(), *self._containing()]
        received = self._received(events.c.received_at)
        of_project = self._of_project(events.c.project_id)
        if of_event := self._of_event(conn):
            return Listing(
                key, [*of_event, *of_project, *received, *self._others()], (), descending
            )
        if self.issue_id is not None:
            along = [events.c.issue_id == self.issue_id]
            others += self._of_project(hidden(events.c.project_id))
        elif received and is_small(conn, events.c.received_at, *received):
            others += self._of_project(hidden(events.c.project_id))
            return Listing(key, [*received, *others], (), descending, is_small=True)
        else:
            along = []
        others += self._received(hidden(events.c.received_at))
        goes_on = events.c.received_at >= self.since if self.since and descending else None
        listing = Listing(key, along, others, descending, goes_on_while=goes_on)
        is_by_project = self.issue_id is None and self.project_id is not None
        return self._along_project(listing) if is_by_project else listing

    def _along_project(self, listing: Listing) -> Listing:
        # A range with one number in it, and sorted by that number as well: for an equality
        # PostgreSQL takes the primary key instead, backwards past all newer events of others.
        project = events.c.project_id
        along = [project >= self.project_id, project <= self.project_id]
        return listing._replace(key=[project, *listing.key], along=along, prefix=(self.project_id,))

    def _of_project(self, column: Any) -> list[Any]:
        return [] if self.project_id is None else [column == self.project_id]

    def _received(self, column: Any) -> list[Any]:
        since = [column >= self.since] if self.since else []
        return [*since, column < self.until] if self.until else since

    def _others(self) -> list[Any]:
        given = {name: getattr(self, name) for name in ("level", "environment", "release")}
        return [
            events.c[name] == clean_text(value)
            for name, value in given.items()
            if value is not None
        ]

    def _containing(self) -> list[Any]:
        text = search_text(self.text)
        columns = (events.c.title, events.c.culprit, events.c.transaction)
        return [contains(text, *columns)] if text else []

    def _of_event(self, conn: Connection) -> list[Any]:
        """Return the conditions of the event whose id is looked for; none if it is not there."""
        event_id = parse_event_id(search_text(self.text))
        if event_id is None:
            return []
        # By project, as the index is.
        is_it = events.c.project_id.in_(select(_PROJECT_IDS)), events.c.event_id == event_id
        return list(is_it) if conn.execute(select(events.c.id).where(*is_it)).first() else []


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
    """Return the event rows of :func:`page_of_events`."""
    return page_of_events(conn, filter, before=before, limit=limit).rows


def page_of_events(
    conn: Connection, filter: EventFilter, *, before: int | None = None, limit: int = 50
) -> Page:
    """Return a page of event rows, newest first.

    :param before: the row id after which the page goes on, exclusive.
    """
    listing = filter.listing(conn)
    return read_page(conn, _with_delivery(), listing, after=listing.after(before), limit=limit)


def events_after(conn: Connection, filter: EventFilter, after: int, limit: int = 50) -> Page:
    """Return the page of event rows next newer than row ``after``, newest first."""
    listing = filter.listing(conn, descending=False)
    page = read_page(conn, _with_delivery(), listing, after=listing.after(after), limit=limit)
    return page._replace(rows=page.rows[::-1])


def count_after(conn: Connection, filter: EventFilter, after: int, at_most: int = 100) -> Count:
    """Return how many events came after row ``after``, counting no further than ``at_most``."""
    listing = filter.listing(conn, descending=False)
    return count_rows(conn, listing, after=listing.after(after), at_most=at_most)


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
        .where(events.c.project_id.in_(select(_PROJECT_IDS)), events.c.event_id == parsed)
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
    envelope = parse_envelope(unpack(body))
    item, sdk = envelope.event(), envelope.headers.get("sdk")
    payload = item.payload if item else {}
    return read_event(payload, event_id=event_id, received_at=received_at, sdk=sdk), payload


def _stored(row: Row[Any]) -> StoredEvent:
    return StoredEvent(row, *read_stored(row.body, row.event_id, row.received_at))


def _with_delivery() -> Select[Any]:
    query = select(events, *DELIVERY_COLUMNS)
    return query.join(envelopes, envelopes.c.id == events.c.envelope_id)
