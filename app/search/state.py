"""How far the index has come, and between which row ids the events of a time are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, or_, select, true, update

from app.events.tables import events
from app.search.document import VERSION
from app.search.tables import search_hours, search_state
from app.store import larger, replaced, smaller, upsert, utc_now

NAME = "events"
# Events that happened longer ago share one row, so that no client can make more rows than these.
HOURS_KEPT = timedelta(days=91)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


class State(NamedTuple):
    """How far the index has come.

    :param up_to: the row id of the last event in the index.
    """

    up_to: int
    version: int


class Span(NamedTuple):
    """Row ids of events: the first one, and the one after the last."""

    low: int
    high: int


def read_state(conn: Connection) -> State:
    """Return how far the index has come."""
    row = conn.execute(select(search_state.c.up_to, search_state.c.version)).first()
    return State(*row) if row else State(0, VERSION)


def write_state(conn: Connection, up_to: int) -> None:
    """Write how far the index has come, with documents of the current version."""
    row = {"name": NAME, "up_to": up_to, "version": VERSION}
    conn.execute(upsert(conn, search_state, up_to=replaced, version=replaced), row)


def lower_state(conn: Connection) -> None:
    """Take the index back behind the last event, after events were removed.

    SQLite gives the row ids of removed events to new ones, if they were the last.
    """
    last = select(func.coalesce(func.max(events.c.id), 0)).scalar_subquery()
    conn.execute(update(search_state).where(search_state.c.up_to > last).values(up_to=last))


def add_hours(conn: Connection, happened: Iterable[tuple[int, datetime]], now: datetime) -> None:
    """Add events to the row ids of their hours.

    :param happened: row id and time of each event.
    """
    spans: dict[datetime, list[int]] = {}
    for event_id, at in happened:
        spans.setdefault(_hour(at, now), []).append(event_id)
    rows = [
        {"hour": hour, "first_id": min(ids), "last_id": max(ids)} for hour, ids in spans.items()
    ]
    conn.execute(upsert(conn, search_hours, first_id=smaller, last_id=larger), rows)


def forget_hours(conn: Connection) -> None:
    """Remove the hours whose events are all removed."""
    first = select(func.coalesce(func.min(events.c.id), 0)).scalar_subquery()
    conn.execute(delete(search_hours).where(search_hours.c.last_id < first))


def merge_old_hours(conn: Connection, now: datetime) -> None:
    """Put the hours of long ago into the one row for them."""
    of = search_hours.c
    is_old = of.hour < now - HOURS_KEPT, of.hour > LONG_AGO
    found = conn.execute(select(func.min(of.first_id), func.max(of.last_id)).where(*is_old)).one()
    if found[0] is not None:
        row = {"hour": LONG_AGO, "first_id": found[0], "last_id": found[1]}
        conn.execute(upsert(conn, search_hours, first_id=smaller, last_id=larger), row)
        conn.execute(delete(search_hours).where(*is_old))


def span_of(conn: Connection, start: datetime | None, end: datetime | None) -> Span:
    """Return the row ids between which all indexed events are that happened in a range of time.

    Others are between them, too.
    """
    of = search_hours.c
    is_in = []
    if start is not None:
        is_long_ago = start < utc_now() - HOURS_KEPT + AN_HOUR
        is_after = of.hour > start - AN_HOUR
        is_in.append(or_(is_after, of.hour == LONG_AGO) if is_long_ago else is_after)
    if end is not None:
        is_in.append(of.hour < end)
    up_to = select(search_state.c.up_to).limit(1).scalar_subquery()
    hours = select(func.min(of.first_id), func.max(of.last_id), up_to).where(and_(true(), *is_in))
    low, high, last = conn.execute(hours).one()
    return Span(low or 0, min(high or 0, last or 0) + 1)


def _hour(moment: datetime, now: datetime) -> datetime:
    if moment < now - HOURS_KEPT:
        return LONG_AGO
    return moment.replace(minute=0, second=0, microsecond=0)
