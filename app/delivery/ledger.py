"""The ledger, read: envelopes and their attempts, and how delivery is as a whole.

Every list is bounded and paged by id; what is counted comes from the counters, so that a
page costs the same however large the store is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, literal, select, text, union_all

from app.delivery import accounting
from app.delivery.destinations import Destination, Destinations
from app.delivery.outcomes import WAITING
from app.delivery.tables import attempts, client_reports
from app.events.tables import OUTBOX, envelopes, events
from app.projects import projects
from app.protocol.event import parse_event_id
from app.protocol.lenient import search_text
from app.store.paging import Listing, Page, hidden, read_page
from app.store.searching import contains

STATES = (*accounting.STATES, "discarded")
# Of one envelope; one that waits for a week has some two thousand.
MAX_ATTEMPTS = 200
RATE_OVER = timedelta(minutes=5)

# Everything but the body.
_COLUMNS = (
    envelopes.c.id,
    envelopes.c.project_id,
    envelopes.c.event_id,
    envelopes.c.item_types,
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.received_at,
    envelopes.c.settled_at,
    envelopes.c.size_bytes,
    envelopes.c.next_at,
    envelopes.c.attempts,
    envelopes.c.priority,
    envelopes.c.upstream_id,
    events.c.title,
    events.c.issue_id,
)


@dataclass(frozen=True)
class DeliveryFilter:
    """Which envelopes are meant; ``None`` means whatever.

    :param item_type: one of its items is of this type.
    :param reason: part of why it is not delivered, in any case.
    :param event_id: of an event in it, with or without dashes.
    :param since: received at or after this moment; ``until``: before it.
    :param ids: of the envelopes themselves.
    """

    state: str | None = None
    project_id: int | None = None
    item_type: str | None = None
    reason: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[int, ...] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What narrows it, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return the query narrowed to this filter."""
        listing = self.listing()
        return query.where(*listing.along, *listing.others)

    def listing(self) -> Listing:
        """Return the list of envelopes that this filter leaves, sorted by id."""
        columns = envelopes.c
        along: list[Any] = []
        others: list[Any] = []
        if self.ids is not None:
            along.append(columns.id.in_(self.ids))
        if self.event_id is not None:
            along.append(columns.id.in_(_envelopes_of(self.event_id)))
        if self.state is not None:
            along.append(columns.state == self.state)
        if self.project_id is not None:
            others.append(hidden(columns.project_id) == self.project_id)
        if self.since:
            others.append(columns.received_at >= self.since)
        if self.until:
            others.append(columns.received_at < self.until)
        if item_type := search_text(self.item_type):
            types = literal(",") + columns.item_types + literal(",")
            others.append(types.contains(f",{item_type},", autoescape=True))
        if part := search_text(self.reason):
            others.append(contains(part, columns.reason))
        goes_on = columns.received_at >= self.since if self.since else None
        return Listing([columns.id], along, others, goes_on_while=goes_on)


class LastAttempt(NamedTuple):
    """The newest attempt of an envelope, and how many there are in all."""

    attempt: Row[Any]
    total: int


@dataclass(frozen=True)
class Delivery:
    """One envelope on its way.

    :param attempts: the newest first, at most :data:`MAX_ATTEMPTS`.
    :param attempt_count: of all that are in the ledger.
    """

    row: Row[Any]
    attempts: list[Row[Any]]
    attempt_count: int


class Held(NamedTuple):
    """How many envelopes of a project wait to be sent, and how many Sentry refused for good."""

    waiting: int = 0
    parked: int = 0


@dataclass(frozen=True)
class Overview:
    """How delivery is.

    :param counts: of the envelopes that are there, by state.
    :param oldest_at: when the oldest that still waits was received.
    :param per_minute: delivered a minute, over the last five.
    :param held: of each project that has any, what waits and what Sentry refused.
    :param owed: what Sentry has still to be told of: project, reason, category, quantity.
    """

    counts: dict[str, int]
    oldest_at: datetime | None
    per_minute: float
    destinations: list[Destination]
    held: dict[int, Held]
    owed: list[Row[Any]]

    @property
    def waiting(self) -> int:
        """How many envelopes are still to be sent."""
        return sum(self.counts[state] for state in WAITING)


def list_deliveries(
    conn: Connection, filter: DeliveryFilter, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return the envelopes of :func:`page_of_deliveries`."""
    return page_of_deliveries(conn, filter, before=before, limit=limit).rows


def page_of_deliveries(
    conn: Connection, filter: DeliveryFilter, *, before: int | None = None, limit: int = 50
) -> Page:
    """Return a page of envelopes, newest first, each with ``title`` and ``issue_id`` of its event.

    :param before: the id after which the page goes on, exclusive.
    """
    after = None if before is None else (before,)
    return read_page(conn, _with_event(), filter.listing(), after=after, limit=limit)


def find_delivery(conn: Connection, envelope_id: int) -> Delivery | None:
    """Return one envelope with its attempts, ``None`` when it is not there."""
    if not 0 < envelope_id < 2**63:
        return None
    row = conn.execute(_with_event().where(envelopes.c.id == envelope_id)).first()
    if row is None:
        return None
    of_it = attempts.c.envelope_id == envelope_id
    newest = select(attempts).where(of_it).order_by(attempts.c.id.desc()).limit(MAX_ATTEMPTS)
    found = list(conn.execute(newest))
    count = select(func.count()).select_from(attempts).where(of_it)
    return Delivery(row, found, int(conn.execute(count).scalar_one()))


def last_attempts(conn: Connection, envelope_ids: Collection[int]) -> dict[int, LastAttempt]:
    """Return the newest attempt of each of these envelopes that was tried at all."""
    last = (
        select(func.max(attempts.c.id).label("id"), func.count().label("count"))
        .where(attempts.c.envelope_id.in_(envelope_ids))
        .group_by(attempts.c.envelope_id)
        .subquery()
    )
    query = select(attempts, last.c.count).join(last, last.c.id == attempts.c.id)
    return {row.envelope_id: LastAttempt(row, int(row[-1])) for row in conn.execute(query)}


def counts_by_state(conn: Connection) -> dict[str, int]:
    """Return how many envelopes are in each state, without those that retention removed."""
    counted = accounting.read_counters(conn)
    counts = {state: counted.get(accounting.counter_of(state), 0) for state in accounting.STATES}
    counts["discarded"] = sum(
        value for name, value in counted.items() if name.startswith("discarded:")
    )
    return {state: counts[state] - counted.get(accounting.pruned(state), 0) for state in STATES}


def held_by_project(conn: Connection, project_id: int | None = None) -> dict[int, Held]:
    """Return what is held of each project that has any; the indexes of both lead to these alone.

    :param project_id: of this one only.
    """
    found: dict[int, Held] = {}
    both = (_held("waiting", text(OUTBOX)), _held("parked", envelopes.c.state == "parked"))
    if project_id is not None:
        both = (both[0].where(_OF_PROJECT), both[1].where(_OF_PROJECT))
    for project, name, count in conn.execute(union_all(*both), {"project_id": project_id}):
        found[project] = found.get(project, Held())._replace(**{name: count})
    return found


def _held(name: str, these: Any) -> Select[Any]:
    query = select(envelopes.c.project_id, literal(name), func.count()).where(these)
    return query.group_by(envelopes.c.project_id)


_OF_PROJECT = envelopes.c.project_id == bindparam("project_id")


def oldest_waiting(conn: Connection) -> datetime | None:
    """Return when the oldest envelope that is still to be sent was received."""
    found = oldest_by_state(conn, WAITING).values()
    return min((moment for moment in found if moment is not None), default=None)


def oldest_by_state(conn: Connection, states: Iterable[str]) -> dict[str, datetime | None]:
    """Return when the oldest envelope in each of these states was received."""
    return {
        state: conn.scalar(
            select(envelopes.c.received_at)
            .where(envelopes.c.state == state)
            .order_by(envelopes.c.id)
            .limit(1)
        )
        for state in states
    }


def overview(conn: Connection, destinations: Destinations, now: datetime) -> Overview:
    """Return how delivery is as a whole."""
    delivered = select(func.count()).where(
        attempts.c.at >= now - RATE_OVER, attempts.c.state == "delivered"
    )
    minutes = RATE_OVER / timedelta(minutes=1)
    return Overview(
        counts=counts_by_state(conn),
        oldest_at=oldest_waiting(conn),
        per_minute=int(conn.execute(delivered).scalar_one()) / minutes,
        destinations=destinations.list(conn),
        held=held_by_project(conn),
        owed=list(conn.execute(select(client_reports).order_by(*client_reports.primary_key))),
    )


def _with_event() -> Select[Any]:
    return select(*_COLUMNS).outerjoin(events, events.c.envelope_id == envelopes.c.id)


def _envelopes_of(event_id: str) -> Select[Any]:
    # By project, since that is what the unique index of events begins with: a seek for each.
    return select(events.c.envelope_id).where(
        events.c.project_id.in_(select(projects.c.id)),
        events.c.event_id == (parse_event_id(event_id) or ""),
    )
