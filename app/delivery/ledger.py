"""Read the ledger: envelopes, their attempts, and an overview of delivery.

Every list is bounded and paged by id. Counts come from the counters, so a page costs the same
however large the store is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Subquery,
    bindparam,
    func,
    literal,
    select,
    text,
    union_all,
)

from app.delivery import accounting
from app.delivery.destinations import Destination, Destinations
from app.delivery.filter import STATES, DeliveryFilter
from app.delivery.tables import attempts, client_reports
from app.events.states import WAITING, EnvelopeState
from app.events.tables import OUTBOX, PARKED, envelopes, events
from app.store.paging import Page, read_page

# Attempts that are read for one envelope. An envelope that waits for a week has about 2,000.
MAX_ATTEMPTS = 200
RATE_OVER = timedelta(minutes=5)

# All columns but the body.
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


class LastAttempt(NamedTuple):
    """The newest attempt of an envelope, and the number of all its attempts."""

    attempt: Row[Any]
    total: int


@dataclass(frozen=True)
class Delivery:
    """One envelope and its attempts.

    :param attempts: newest first, at most :data:`MAX_ATTEMPTS`.
    :param attempt_count: number of all its attempts in the ledger.
    """

    row: Row[Any]
    attempts: list[Row[Any]]
    attempt_count: int


class Held(NamedTuple):
    """How many envelopes of a project wait to be sent, and how many are parked because Sentry
    refused them.
    """

    waiting: int = 0
    parked: int = 0


@dataclass(frozen=True)
class Overview:
    """An overview of delivery.

    :param counts: of the envelopes in the store, by state.
    :param oldest_at: when the oldest waiting envelope was received.
    :param per_minute: envelopes delivered a minute, over the last five minutes.
    :param held: waiting and parked envelopes, for each project that has any.
    :param owed: what is not reported to Sentry yet: project, reason, category, quantity.
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


def page_of_deliveries(
    conn: Connection, filter: DeliveryFilter, *, before: int | None = None, limit: int = 50
) -> Page:
    """Return a page of envelopes, newest first, each with ``title`` and ``issue_id`` of its event.

    :param before: return only envelopes with a smaller id than this.
    """
    after = None if before is None else (before,)
    return read_page(conn, _with_event(), filter.listing(), after=after, limit=limit)


def find_delivery(conn: Connection, envelope_id: int) -> Delivery | None:
    """Return one envelope with its attempts, ``None`` if there is no such envelope."""
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
    """Return the newest attempt of each of these envelopes. Envelopes without one are left out."""
    last = (
        select(func.max(attempts.c.id).label("id"), func.count().label("count"))
        .where(attempts.c.envelope_id.in_(envelope_ids))
        .group_by(attempts.c.envelope_id)
        .subquery()
    )
    query = select(attempts, last.c.count).join(last, last.c.id == attempts.c.id)
    return {row.envelope_id: LastAttempt(row, int(row[-1])) for row in conn.execute(query)}


def counts_by_state(conn: Connection) -> dict[str, int]:
    """Return how many envelopes are in each state, without those that retention removed.

    Envelopes of a demo are counted in the store itself, because no counter has them.
    """
    return _counts(conn, conn.scalar(_OF_DEMO) or 0)


_OF_DEMO = select(func.count()).where(envelopes.c.state == EnvelopeState.DEMO)


def _counts(conn: Connection, of_demo: int) -> dict[str, int]:
    counted = accounting.read_counters(conn)
    counts = {state: counted.get(accounting.counter_of(state), 0) for state in accounting.STATES}
    counts["discarded"] = sum(
        value for name, value in counted.items() if name.startswith("discarded:")
    )
    counts["demo"] = of_demo
    pruned = {state: counted.get(accounting.pruned(state), 0) for state in counts}
    return {state: counts[state] - pruned[state] for state in STATES}


def held_by_project(conn: Connection, project_id: int | None = None) -> dict[int, Held]:
    """Return the waiting and parked envelopes of each project that has any.

    Two indexes contain only such envelopes, so no other rows are read.

    :param project_id: count only this project's envelopes.
    """
    found: dict[int, Held] = {}
    both = _held("waiting", text(OUTBOX)), _held("parked", text(PARKED))
    if project_id is not None:
        both = (both[0].where(_OF_PROJECT), both[1].where(_OF_PROJECT))
    for project, name, count in conn.execute(union_all(*both), {"project_id": project_id}):
        found[project] = found.get(project, Held())._replace(**{name: count})
    return found


def held_parts() -> tuple[Subquery, Subquery]:
    """Return the waiting and the parked envelopes of projects, to be joined to a query.

    :return: each with the columns ``project_id`` and ``envelopes``.
    """
    number = func.count().label("envelopes")
    query = select(envelopes.c.project_id, number).group_by(envelopes.c.project_id)
    waiting, parked = query.where(text(OUTBOX)), query.where(text(PARKED))
    return waiting.subquery("waiting"), parked.subquery("parked")


def _held(name: str, these: Any) -> Select[Any]:
    query = select(envelopes.c.project_id, literal(name), func.count()).where(these)
    return query.group_by(envelopes.c.project_id)


_OF_PROJECT = envelopes.c.project_id == bindparam("project_id")


def oldest_waiting(conn: Connection) -> datetime | None:
    """Return when the oldest waiting envelope was received, ``None`` if no envelope waits."""
    found = oldest_by_state(conn, WAITING).values()
    return min((moment for moment in found if moment is not None), default=None)


def oldest_by_state(conn: Connection, states: Iterable[str]) -> dict[str, datetime | None]:
    """Return when the oldest envelope in each of these states was received, ``None`` for a state
    without envelopes.
    """
    return {state: conn.scalar(_oldest(state)) for state in states}


def _oldest(state: str) -> Select[Any]:
    of_state = select(envelopes.c.received_at).where(envelopes.c.state == state)
    return of_state.order_by(envelopes.c.id).limit(1)


def overview(conn: Connection, destinations: Destinations, now: datetime) -> Overview:
    """Return the overview of delivery for all projects."""
    delivered = select(func.count()).where(
        attempts.c.at >= now - RATE_OVER, attempts.c.state == EnvelopeState.DELIVERED
    )
    oldest = [_oldest(state).scalar_subquery() for state in WAITING]
    numbers = select(_OF_DEMO.scalar_subquery(), delivered.scalar_subquery(), *oldest)
    of_demo, per_range, *times = conn.execute(numbers).one()
    return Overview(
        counts=_counts(conn, of_demo),
        oldest_at=min((moment for moment in times if moment is not None), default=None),
        per_minute=per_range / (RATE_OVER / timedelta(minutes=1)),
        destinations=destinations.list(conn),
        held=held_by_project(conn),
        owed=list(conn.execute(select(client_reports).order_by(*client_reports.primary_key))),
    )


def _with_event() -> Select[Any]:
    return select(*_COLUMNS).outerjoin(events, events.c.envelope_id == envelopes.c.id)
