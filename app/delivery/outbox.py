"""The outbox: which envelopes are due, and in which order.

It is two queues in one. Live envelopes have just been received and are sent at once; if there are
more than can be sent, the newest are sent first. Envelopes that had to wait are the backlog. The
backlog is paced, and an issue's first event is sent before its repeats. Envelopes that wait for a
rate limit are skipped.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    Connection,
    Integer,
    Select,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from app.delivery import accounting
from app.delivery.client import Origin
from app.delivery.tables import destinations
from app.events.states import EnvelopeState
from app.events.tables import OUTBOX, envelopes, events
from app.issues.tables import issues
from app.store import UtcDateTime

# An untried envelope that is older than this belongs to the backlog. It is part of a burst that is
# larger than what can be sent in this time.
LIVE = timedelta(seconds=10)
# The limit for bodies loaded at once. It keeps their memory small compared with the process,
# however large envelopes are.
MAX_LOADED_BYTES = 8 * 1024 * 1024


# Statements are built once. While a backlog drained, building them took longer than executing them.
def _all_waiting() -> CTE:
    """Build the query for projects with waiting envelopes. It costs one index seek a project."""
    query = select(func.min(envelopes.c.project_id).label("id")).where(text(OUTBOX))
    found = query.cte("waiting", recursive=True)
    after = select(func.min(envelopes.c.project_id)).where(
        text(OUTBOX), envelopes.c.project_id > found.c.id
    )
    return found.union_all(select(after.scalar_subquery()).where(found.c.id.is_not(None)))


def _all_due(waiting: CTE) -> Select[Any]:
    now = bindparam("now", type_=UtcDateTime)
    is_due = exists().where(
        text(OUTBOX), envelopes.c.project_id == waiting.c.id, envelopes.c.next_at <= now
    )
    may_probe = exists().where(
        destinations.c.project_id == waiting.c.id,
        destinations.c.open_since.is_not(None),
        or_(destinations.c.probe_at.is_(None), destinations.c.probe_at <= now),
    )
    return select(waiting.c.id).where(or_(is_due, may_probe)).order_by(waiting.c.id)


_WAITING = _all_waiting()
_WAITING_PROJECTS = select(_WAITING.c.id).where(_WAITING.c.id.is_not(None)).order_by(_WAITING.c.id)
_DUE_PROJECTS = _all_due(_WAITING)
_BODIES = select(envelopes.c.id, envelopes.c.body).where(
    envelopes.c.id.in_(bindparam("ids", expanding=True))
)


class Due(NamedTuple):
    """An envelope that may be sent now.

    :param attempts: number of attempts so far. The outcome is recorded only if it is unchanged.
    :param issue_id: issue of the envelope's event. It and ``error_type`` are ``None`` for other
        items.
    """

    id: int
    project_id: int
    event_id: str | None
    item_types: tuple[str, ...]
    attempts: int
    priority: int
    received_at: datetime
    size_bytes: int
    via: str | None
    caller_address: str | None
    caller_user_agent: str | None
    issue_id: int | None
    error_type: str | None

    @property
    def origin(self) -> Origin:
        """Where the envelope came from."""
        return Origin(self.via, self.caller_address, self.caller_user_agent)


def projects_with_outbox(conn: Connection) -> list[int]:
    """Return the projects that have envelopes to send, now or later."""
    return list(conn.scalars(_WAITING_PROJECTS))


def due_projects(conn: Connection, now: datetime) -> list[int]:
    """Return the projects with envelopes to send now, in one statement.

    These are projects with a due envelope, and projects with waiting envelopes whose circuit is
    open and whose next probe is due.
    """
    return list(conn.scalars(_DUE_PROJECTS, {"now": now}))


def pick_live(
    conn: Connection,
    project_id: int,
    since: datetime,
    limit: int,
    *,
    limited: Collection[str] = (),
    held: Collection[int] = (),
) -> list[Due]:
    """Return untried envelopes received since a moment, in the order they were received.

    :param limited: item types that wait for a rate limit. An envelope with one of them is skipped.
    :param held: ids of envelopes that are being sent.
    """
    query, found = _live(tuple(sorted(limited))), list[Due]()
    for priority in (0, 1):
        values = {"project_id": project_id, "priority": priority, "held": held, "count": limit}
        newest = conn.execute(query, values).all()
        found += [due for due in map(_read, newest) if due.received_at >= since]
    return sorted(found[:limit], key=lambda due: due.id)


def pick_backlog(
    conn: Connection,
    project_id: int,
    now: datetime,
    limit: int,
    *,
    limited: Collection[str] = (),
    held: Collection[int] = (),
) -> list[Due]:
    """Return due envelopes: first events of issues before repeats, the oldest first."""
    values = {"project_id": project_id, "now": now, "held": held, "count": limit}
    return [_read(row) for row in conn.execute(_backlog(tuple(sorted(limited))), values)]


def pick_probe(
    conn: Connection, project_id: int, limited: Collection[str], held: Collection[int]
) -> list[Due]:
    """Return one envelope to probe a destination with an open circuit: the least tried one.

    The envelope need not be due, because it waits only for the destination. It is not always the
    oldest envelope, because that may be the one that makes the destination fail.
    """
    order = (envelopes.c.attempts, envelopes.c.priority, envelopes.c.id.desc())
    query = _due(tuple(sorted(limited))).order_by(*order)
    values = {"project_id": project_id, "held": held, "count": 1}
    return [_read(row) for row in conn.execute(query, values)]


def load_bodies(conn: Connection, due: Iterable[Due]) -> dict[int, bytes]:
    """Return stored bodies by id, still compressed. Stop before they exceed
    :data:`MAX_LOADED_BYTES`, but return at least one.
    """
    ids: list[int] = []
    size = 0
    for one in due:
        size += one.size_bytes
        if ids and size > MAX_LOADED_BYTES:
            break
        ids.append(one.id)
    return {row.id: row.body for row in conn.execute(_BODIES, {"ids": ids})}


def bring_forward(conn: Connection, project_id: int, now: datetime) -> None:
    """Make all envelopes in state ``retry`` due now, because the destination accepts again."""
    waiting = update(envelopes).where(
        envelopes.c.project_id == project_id,
        envelopes.c.state == EnvelopeState.RETRY,
        envelopes.c.next_at > now,
    )
    conn.execute(waiting.values(next_at=now))


def expire(conn: Connection, before: datetime, now: datetime, limit: int = 500) -> int:
    """Expire waiting envelopes received before a moment, except those that a person replayed.

    :param limit: the largest number of envelopes that one call expires.
    :return: the number of expired envelopes.
    """
    old = _waiting_since(before).limit(limit)
    rows = conn.execute(select(envelopes.c.id, envelopes.c.state).where(envelopes.c.id.in_(old)))
    states = {row.id: row.state for row in rows}
    if not states:
        return 0
    values = {"state": EnvelopeState.EXPIRED, "settled_at": now, "next_at": None}
    conn.execute(update(envelopes).where(envelopes.c.id.in_(states)).values(values))
    expired = accounting.counter_of(EnvelopeState.EXPIRED)
    accounting.move(conn, ((accounting.counter_of(state), expired) for state in states.values()))
    return len(states)


def has_expired(conn: Connection, before: datetime) -> bool:
    """Return whether :func:`expire` would expire any envelope."""
    return conn.scalar(_waiting_since(before).limit(1)) is not None


def _waiting_since(before: datetime) -> Select[Any]:
    return select(envelopes.c.id).where(
        text(OUTBOX), envelopes.c.received_at < before, envelopes.c.priority >= 0
    )


def _due(limited: tuple[str, ...]) -> Select[Any]:
    query = (
        select(
            envelopes.c.id,
            envelopes.c.project_id,
            envelopes.c.event_id,
            envelopes.c.item_types,
            envelopes.c.attempts,
            envelopes.c.priority,
            envelopes.c.received_at,
            envelopes.c.size_bytes,
            envelopes.c.via,
            envelopes.c.caller_address,
            envelopes.c.caller_user_agent,
            events.c.issue_id,
            issues.c.type,
        )
        .outerjoin(events, events.c.envelope_id == envelopes.c.id)
        .outerjoin(issues, issues.c.id == events.c.issue_id)
        .where(text(OUTBOX), envelopes.c.project_id == bindparam("project_id"))
        .where(envelopes.c.id.not_in(bindparam("held", expanding=True)))
        .limit(bindparam("count", type_=Integer))
    )
    if limited:
        types = literal(",") + envelopes.c.item_types + literal(",")
        query = query.where(
            ~or_(*(types.contains(f",{name},", autoescape=True) for name in limited))
        )
    return query


@functools.lru_cache(maxsize=32)
def _live(limited: tuple[str, ...]) -> Select[Any]:
    untried = _due(limited).where(envelopes.c.attempts == 0)
    return untried.where(envelopes.c.priority == bindparam("priority")).order_by(
        envelopes.c.id.desc()
    )


@functools.lru_cache(maxsize=32)
def _backlog(limited: tuple[str, ...]) -> Select[Any]:
    due = _due(limited).where(envelopes.c.next_at <= bindparam("now"))
    return due.order_by(envelopes.c.priority, envelopes.c.id)


def _read(row: Any) -> Due:
    due = Due(*row)
    return due._replace(item_types=tuple(filter(None, row.item_types.split(","))))
