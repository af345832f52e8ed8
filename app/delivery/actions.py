"""Actions of people on deliveries: replay, discard, pause and resume.

Every action writes a line to the log and a row of :mod:`app.delivery.action_history`.

    ActionError
    ├── UnknownDelivery   no such envelope, or no such project
    └── DoesNotFit        the envelope's state does not allow it, or its project has no DSN

A forwarder may be sending an envelope at the moment of the action. An outcome is recorded only if
the envelope's state and number of attempts are unchanged (:mod:`app.delivery.outcomes`). Therefore:

- A waiting envelope that is replayed keeps its state and its number of attempts. It only becomes
  due sooner. A forwarder that is sending the envelope holds it until the answer comes, so the
  envelope is not sent a second time meanwhile, and the outcome is recorded as usual.
- An envelope with a final state starts again as pending. If the answer to an earlier attempt still
  arrives, "accepted" wins, as it wins over a discard. Any other answer at worst makes the envelope
  wait for its next attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from app.delivery import accounting
from app.delivery import destinations as own
from app.delivery.action_history import Action, Kind
from app.delivery.destinations import Destination, Destinations
from app.delivery.filter import DeliveryFilter
from app.delivery.months import move_months
from app.delivery.outcomes import owe_reports
from app.events.states import WAITING, EnvelopeState
from app.events.tables import envelopes
from app.inputs import Conflict, InputError, Missing
from app.projects import MAX_PROJECT_ID, projects
from app.store import Store, first_within, utc_now

log = logging.getLogger("app.tracker")

# A batch holds the store's only writer for about 50 ms with envelopes of 6 KB. Other writers hardly
# notice this wait.
BATCH_SIZE = 500
# SQLite rewrites the whole row, including the envelope's body.
BATCH_BYTES = 4 * 1024 * 1024
# The priority of a replayed envelope: sent before all others, never sampled out, never expired.
REPLAYED = -1
BY_PERSON = "by_person"

DISCARDABLE = (*WAITING, EnvelopeState.PARKED, EnvelopeState.EXPIRED)
REPLAYABLE: tuple[str, ...] = tuple(
    state for state in EnvelopeState if state not in (EnvelopeState.DELIVERED, EnvelopeState.DEMO)
)
# The states that a filter without a state selects: envelopes that wait for a person or for their
# next attempt. Discarded and local envelopes are not among them.
REPLAYED_BY_DEFAULT = (EnvelopeState.RETRY, EnvelopeState.PARKED, EnvelopeState.EXPIRED)

_COLUMNS: tuple[Any, ...] = (
    envelopes.c.id,
    envelopes.c.project_id,
    envelopes.c.item_types,
    envelopes.c.state,
    envelopes.c.reason,
    envelopes.c.size_bytes,
    envelopes.c.received_at,
)
_Act = Callable[[Connection, list[Row[Any]]], int]


class ActionError(InputError):
    """The action was not carried out. The text says why."""


class UnknownDelivery(ActionError, Missing):
    """There is no such envelope or project."""


class DoesNotFit(ActionError, Conflict):
    """The envelope's state, or its project, does not allow it."""


@dataclass(frozen=True)
class Outcome:
    """How many envelopes an action changed, and how many it skipped because they have no DSN."""

    done: int
    skipped: int = 0


def replay_one(
    store: Store, destinations: Destinations, envelope_id: int, actor: str, *, force: bool = False
) -> None:
    """Mark an envelope to be sent now: again if it has a final state, sooner if it waits.

    :param force: send the envelope even if Sentry has accepted it. Sentry identifies an event by
        its id and keeps only one copy.
    :raise UnknownDelivery: no envelope has this id.
    :raise DoesNotFit: the envelope is delivered, or its project has no DSN.
    """
    with store.write() as conn:
        row = _one(conn, envelope_id)
        if row.state == EnvelopeState.DELIVERED and not force:
            raise DoesNotFit("Sentry has accepted it; it is sent again only by force")
        if row.state == EnvelopeState.DEMO:
            raise DoesNotFit("it is of a demo project, which is never forwarded")
        if not _replay(conn, destinations, [row]):
            raise DoesNotFit(f"project {row.project_id} has no DSN to send it to")
        _action_on(actor, "replayed", row).note(conn, 1)
    log.info("%s replayed envelope %d (%s)", actor, envelope_id, row.state)


def replay(
    store: Store,
    destinations: Destinations,
    filter: DeliveryFilter,
    actor: str,
    *,
    force: bool = False,
) -> Outcome:
    """Mark the envelopes of a filter to be sent now. Envelopes without a DSN are skipped.

    A filter without a state and without ids selects :data:`REPLAYED_BY_DEFAULT`.

    :param force: include envelopes that Sentry has accepted, if the filter names a state or ids.
    """
    is_exact = not filter.given.keys().isdisjoint({"state", "ids"})
    states = REPLAYABLE if is_exact else REPLAYED_BY_DEFAULT
    if force and is_exact:
        states = (*states, EnvelopeState.DELIVERED)
    action = Action(actor, "replayed", utc_now(), filter=_named(filter))
    outcome = _in_batches(
        store, filter, states, lambda conn, rows: _replay(conn, destinations, rows), action
    )
    _tell(actor, "replayed", outcome, filter)
    return outcome


def discard_one(store: Store, destinations: Destinations, envelope_id: int, actor: str) -> None:
    """Discard an envelope. It stays in the store and can be replayed.

    :raise UnknownDelivery: no envelope has this id.
    :raise DoesNotFit: the envelope is delivered, local or already discarded.
    """
    with store.write() as conn:
        row = _one(conn, envelope_id)
        if row.state not in DISCARDABLE:
            raise DoesNotFit(f"it is {row.state}; only what is still to be sent can be discarded")
        _discard(conn, destinations, [row])
        _action_on(actor, "discarded", row).note(conn, 1)
    log.info("%s discarded envelope %d (%s)", actor, envelope_id, row.state)


def discard(
    store: Store, destinations: Destinations, filter: DeliveryFilter, actor: str
) -> Outcome:
    """Discard the envelopes of a filter that are still to be sent."""
    action = Action(actor, "discarded", utc_now(), filter=_named(filter))
    outcome = _in_batches(
        store, filter, DISCARDABLE, lambda conn, rows: _discard(conn, destinations, rows), action
    )
    _tell(actor, "discarded", outcome, filter)
    return outcome


def pause(store: Store, destinations: Destinations, project_id: int, actor: str) -> Destination:
    """Stop sending to a project's destination. All its envelopes are kept and queued.

    :raise UnknownDelivery: there is no such project.
    :raise DoesNotFit: the project has no DSN.
    """
    return _set(store, destinations, project_id, actor, "paused", own.pause)


def resume(store: Store, destinations: Destinations, project_id: int, actor: str) -> Destination:
    """Start sending to a project's destination again, at once. An open circuit is closed.

    :raise UnknownDelivery: there is no such project.
    :raise DoesNotFit: the project has no DSN.
    """
    return _set(store, destinations, project_id, actor, "resumed", own.resume)


def _set(
    store: Store,
    destinations: Destinations,
    project_id: int,
    actor: str,
    word: Kind,
    change: Callable[[Connection, int, datetime], None],
) -> Destination:
    with store.write() as conn:
        known = select(projects.c.id).where(projects.c.id == project_id)
        if project_id > MAX_PROJECT_ID or conn.scalar(known) is None:
            raise UnknownDelivery("no project has this id")
        if destinations.find(conn, project_id).dsn is None:
            raise DoesNotFit("the project has no DSN: nothing is sent for it")
        change(conn, project_id, utc_now())
        Action(actor, word, utc_now(), project_id=project_id).note(conn, 0)
        destination = destinations.find(conn, project_id)
    log.info("%s %s delivery for project %d", actor, word, project_id)
    return destination


def _one(conn: Connection, envelope_id: int) -> Row[Any]:
    row: Row[Any] | None = None
    if 0 < envelope_id < 2**63:
        row = conn.execute(select(*_COLUMNS).where(envelopes.c.id == envelope_id)).first()
    if row is None:
        raise UnknownDelivery("no envelope has this id")
    return row


def _action_on(actor: str, kind: Kind, row: Row[Any]) -> Action:
    return Action(actor, kind, utc_now(), envelope_id=row.id, project_id=row.project_id)


def _in_batches(
    store: Store, filter: DeliveryFilter, states: Collection[str], act: _Act, action: Action
) -> Outcome:
    """Apply an action to the envelopes that exist now, in one transaction for each batch."""
    chosen = filter.apply(select(*_COLUMNS)).where(envelopes.c.state.in_(states))
    with store.read() as conn:
        newest = conn.scalar(select(func.max(envelopes.c.id))) or 0
    done = skipped = last = 0
    while True:
        batch = chosen.where(envelopes.c.id > last, envelopes.c.id <= newest)
        with store.write() as conn:
            found = list(conn.execute(batch.order_by(envelopes.c.id).limit(BATCH_SIZE)))
            rows = first_within(found, BATCH_BYTES, lambda row: row.size_bytes)
            count = act(conn, rows) if rows else 0
            if count:
                action.note(conn, count)
        done, skipped = done + count, skipped + len(rows) - count
        if len(rows) == len(found) < BATCH_SIZE:
            return Outcome(done, skipped)
        last = rows[-1].id


def _replay(conn: Connection, destinations: Destinations, rows: list[Row[Any]]) -> int:
    with_dsn = destinations.with_dsn(conn, {row.project_id for row in rows})
    rows = [row for row in rows if row.project_id in with_dsn]
    settled = [row for row in rows if row.state not in WAITING]
    soon = {"next_at": utc_now(), "priority": REPLAYED}
    _update(conn, rows, soon)
    anew = {"state": EnvelopeState.PENDING, "attempts": 0}
    _update(conn, settled, anew | dict.fromkeys(("reason", "settled_at", "upstream_id")))
    pending = accounting.counter_of(EnvelopeState.PENDING)
    accounting.move(
        conn, ((accounting.counter_of(row.state, row.reason), pending) for row in settled)
    )
    move_months(conn, ((row, EnvelopeState.PENDING, None) for row in settled))
    return len(rows)


def _discard(conn: Connection, destinations: Destinations, rows: list[Row[Any]]) -> int:
    ended = {"settled_at": utc_now(), "next_at": None}
    values = {"state": EnvelopeState.DISCARDED, "reason": BY_PERSON, **ended}
    _update(conn, rows, values)
    discarded = accounting.counter_of(EnvelopeState.DISCARDED, BY_PERSON)
    accounting.move(
        conn, ((accounting.counter_of(row.state, row.reason), discarded) for row in rows)
    )
    move_months(conn, ((row, EnvelopeState.DISCARDED, BY_PERSON) for row in rows))
    told = destinations.with_dsn(conn, {row.project_id for row in rows})
    owe_reports(conn, [(row, BY_PERSON) for row in rows if row.project_id in told])
    return len(rows)


def _update(conn: Connection, rows: list[Row[Any]], values: dict[str, Any]) -> None:
    if rows:
        chosen = envelopes.c.id.in_([row.id for row in rows])
        conn.execute(update(envelopes).where(chosen).values(values))


def _tell(actor: str, word: str, outcome: Outcome, filter: DeliveryFilter) -> None:
    log.info("%s %s %d envelopes of %s", actor, word, outcome.done, _named(filter))


def _named(filter: DeliveryFilter) -> dict[str, str]:
    return {name: str(value)[:200] for name, value in filter.given.items()}
