"""Queries for events: pages of a list, and a single event with its payload."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, select, union_all

from app.events.filter import PROJECT_IDS, EventFilter
from app.events.tables import envelopes, events
from app.protocol.envelope import parse_envelope
from app.protocol.event import Event, parse_event_id, read_event
from app.protocol.packing import unpack
from app.store import DriverStatement
from app.store.paging import Count, Page, count_rows, read_page

# The delivery status of an event's envelope, for the trail and for the badge in a list.
DELIVERY_COLUMNS = (
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.settled_at,
    envelopes.c.next_at,
    envelopes.c.attempts,
    envelopes.c.upstream_id,
    envelopes.c.item_types,
)


# The newest events of an issue whose delivery is counted: 500 rows take 0.4 ms on SQLite.
MAX_COUNTED = 500
# The projects whose newest events one question reads.
MAX_PROJECTS = 100


@dataclass(frozen=True)
class StoredEvent:
    """An event with everything that the store holds about it.

    :param row: the row of the event, with the :data:`DELIVERY_COLUMNS` of its envelope.
    :param payload: the event as it was stored, scrubbed.
    """

    row: Row[Any]
    event: Event
    payload: dict[str, Any]


def page_of_events(
    conn: Connection, filter: EventFilter, *, before: int | None = None, limit: int = 50
) -> Page:
    """Return a page of event rows, newest first.

    :param before: the last row id of the previous page; the page begins after it.
    """
    listing = filter.listing(conn)
    return read_page(conn, _with_delivery(), listing, after=listing.after(before), limit=limit)


def rows_with_delivery(conn: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    """Return the event rows with these row ids, newest first."""
    query = _with_delivery().where(events.c.id.in_(ids)).order_by(events.c.id.desc())
    return list(conn.execute(query)) if ids else []


def newest_of_projects(conn: Connection, project_ids: Sequence[int], limit: int) -> list[Row[Any]]:
    """Return the newest event rows of some projects, whatever else is stored.

    :param project_ids: at most 100; of more, the newest events of the first ones.
    """
    project, id = events.c.project_id, events.c.id
    each = [
        # A range with one number: for an equality PostgreSQL would read past other projects.
        select(id).where(project >= number, project <= number).order_by(project.desc(), id.desc())
        for number in project_ids[:MAX_PROJECTS]
    ]
    if not each:
        return []
    newest = union_all(*(select(one.limit(limit).subquery().c.id) for one in each))
    query = _with_delivery().where(id.in_(newest)).order_by(id.desc()).limit(limit)
    return list(conn.execute(query))


def events_after(conn: Connection, filter: EventFilter, after: int, limit: int = 50) -> Page:
    """Return the page of event rows that came directly after row ``after``, newest first."""
    listing = filter.listing(conn, descending=False)
    page = read_page(conn, _with_delivery(), listing, after=listing.after(after), limit=limit)
    return page._replace(rows=page.rows[::-1])


def count_after(conn: Connection, filter: EventFilter, after: int, at_most: int = 100) -> Count:
    """Return how many events came after row ``after``; stop counting at ``at_most``."""
    listing = filter.listing(conn, descending=False)
    return count_rows(conn, listing, after=listing.after(after), at_most=at_most)


def find_event(
    conn: Connection,
    event_id: str,
    project_id: int | None = None,
    *,
    among: Collection[int] | None = None,
) -> StoredEvent | None:
    """Return an event with its payload, ``None`` when it is not stored.

    :param event_id: with or without dashes, upper or lower case.
    :param project_id: the project of the event; without it, all projects are searched.
    :param among: only these projects are searched.
    """
    parsed = parse_event_id(event_id)
    if parsed is None:
        return None
    query = _of_id()
    if project_id is not None:
        query = query.where(events.c.project_id == project_id)
    if among is not None:
        query = query.where(events.c.project_id.in_(among))
    row = conn.execute(query, {"event": parsed}).first()
    return None if row is None else _stored(row)


def find_stored(conn: Connection, row_id: int) -> StoredEvent | None:
    """Return an event with its payload by its row id, ``None`` when it is not stored."""
    row = conn.execute(_with_body().where(events.c.id == row_id)).first()
    return None if row is None else _stored(row)


def find_events(conn: Connection, ids: Collection[tuple[int, str]]) -> list[StoredEvent]:
    """Return events with their payloads, without those that are not stored.

    :param ids: project id and event id of each, at most some hundred.
    """
    query = _with_body().where(
        events.c.project_id.in_({project_id for project_id, _ in ids}),
        events.c.event_id.in_({event_id for _, event_id in ids}),
    )
    wanted = set(ids)
    rows = conn.execute(query) if wanted else ()
    return [_stored(row) for row in rows if (row.project_id, row.event_id) in wanted]


def latest_event(conn: Connection, issue_id: int) -> StoredEvent | None:
    """Return the event of an issue that was received last, ``None`` without stored events."""
    row = conn.execute(_latest(), {"issue": issue_id}).first()
    return None if row is None else _stored(row)


class DeliveryCount(NamedTuple):
    """How many events have a delivery state for a reason; the newest of their envelopes."""

    state: str
    reason: str | None
    number: int
    envelope_id: int


def count_deliveries(conn: Connection, issue_id: int) -> list[DeliveryCount]:
    """Return how many of an issue's newest :data:`MAX_COUNTED` events have each delivery state."""
    return [DeliveryCount(*row) for row in _DELIVERIES.fetch(conn, {"issue": issue_id})]


def _deliveries(dialect: str) -> Select[Any]:
    newest = select(events.c.envelope_id).where(events.c.issue_id == bindparam("issue"))
    some = newest.order_by(events.c.id.desc()).limit(MAX_COUNTED).subquery()
    state, reason, id = envelopes.c.state, envelopes.c.reason, envelopes.c.id
    counts = func.count().label("number"), func.max(id).label("envelope_id")
    return (
        select(state, reason, *counts)
        .join_from(some, envelopes, id == some.c.envelope_id)
        .group_by(state, reason)
    )


_DELIVERIES = DriverStatement(_deliveries)


@cache
def _latest() -> Select[Any]:
    of_issue = _with_body().where(events.c.issue_id == bindparam("issue"))
    return of_issue.order_by(events.c.id.desc()).limit(1)


def _with_body() -> Select[Any]:
    query = select(events, *DELIVERY_COLUMNS, envelopes.c.body)
    return query.join(envelopes, envelopes.c.id == events.c.envelope_id)


@cache
def _of_id() -> Select[Any]:
    return (
        _with_body()
        # The index begins with the project: without this condition the query would read every
        # event.
        .where(
            events.c.project_id.in_(select(PROJECT_IDS)), events.c.event_id == bindparam("event")
        )
        .order_by(events.c.project_id)
    )


def read_stored(body: bytes, event_id: str, received_at: datetime) -> tuple[Event, dict[str, Any]]:
    """Return the event of a stored envelope, and its payload.

    :raise ValueError: the envelope is damaged.
    """
    envelope = parse_envelope(unpack(body))
    item, sdk = envelope.event(), envelope.headers.get("sdk")
    payload = item.payload if item else {}
    return read_event(payload, event_id=event_id, received_at=received_at, sdk=sdk), payload


def _stored(row: Row[Any]) -> StoredEvent:
    return StoredEvent(row, *read_stored(row.body, row.event_id, row.received_at))


@cache
def _with_delivery() -> Select[Any]:
    query = select(events, *DELIVERY_COLUMNS)
    return query.join(envelopes, envelopes.c.id == events.c.envelope_id)
