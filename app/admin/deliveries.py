"""Deliveries: how envelopes go to Sentry, the ledger, and one envelope with its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.choices import Choice
from app.admin.events import moment_of, row_number
from app.admin.lookups import project_names
from app.admin.trails import lacks_dsn, sentence_of
from app.delivery.action_history import list_actions
from app.delivery.actions import DISCARDABLE, REPLAYABLE
from app.delivery.destinations import Destination
from app.delivery.ledger import (
    STATES,
    Delivery,
    DeliveryFilter,
    Held,
    find_delivery,
    held_by_project,
    last_attempts,
    overview,
    page_of_deliveries,
)
from app.delivery.outcomes import WAITING
from app.delivery.upstreams import WORDS, held_up_by, next_try, next_try_at, reach
from app.events.trail import Hop, delivery_hops, why_not_sent
from app.protocol.event import clean_text
from app.store import utc_now
from app.store.paging import SCAN_ROWS
from app.web import access
from app.web.current import current_config, current_destinations, current_store
from app.web.delivery_status import stands_by, upstream_url

PAGE_SIZE = 50
ACTIONS_SHOWN = 10
NAMES = ("state", "project", "item", "reason", "event", "from", "to")
MAX_LENGTHS = {"reason": 200, "item": 64}
UNKNOWN = "no envelope has this id; it may have been removed since"


@dataclass(frozen=True)
class DestinationView:
    """One destination as its card shows it.

    :param cause: what it waits for, or why the last try failed, in words; empty for neither.
    :param limits: categories and the end of their limit, the longest first.
    :param held: how many envelopes wait for it, and how many were refused.
    """

    project_id: int
    name: str
    host: str | None
    state: str
    word: str
    cause: str
    limits: list[tuple[str, datetime]]
    delivered_at: datetime | None
    held: Held


@bp.get("/deliveries")
@access.admin
def list_of_deliveries() -> ResponseReturnValue:
    """Show how delivery is, and a page of the ledger."""
    choice = read_choice(request.args)
    before, now = row_number("before"), utc_now()
    with current_store().read() as conn:
        found = overview(conn, current_destinations(), now)
        page = page_of_deliveries(conn, filter_of(choice), before=before, limit=PAGE_SIZE)
        tries = last_attempts(conn, [row.id for row in page.rows])
        names = project_names(conn)
        actions = list_actions(conn, limit=ACTIONS_SHOWN) if before is None else []
    state = choice.values.get("state")
    return render_template(
        "deliveries.html",
        overview=found,
        destinations=[
            view_of(destination, names, now, found.held.get(destination.project_id, Held()))
            for destination in found.destinations
        ],
        home=home_of(choice, names, found.destinations),
        owed=sum(row.quantity for row in found.owed),
        choice=choice,
        states=STATES,
        projects=names,
        rows=page.rows,
        tries=tries,
        next=next_tries(page.rows, found.destinations, now),
        why=why_not_sent,
        can_replay=state in REPLAYABLE or (state is None and choice.narrows),
        can_discard=state in DISCARDABLE,
        is_first=before is None,
        actions=actions,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.get("/deliveries/<int:envelope_id>")
@access.admin
def show_delivery(envelope_id: int) -> ResponseReturnValue:
    """Show one envelope with its attempts.

    :raise 404: no envelope has this id.
    """
    now = utc_now()
    with current_store().read() as conn:
        found = find_delivery(conn, envelope_id)
        destination = _destination_of(conn, found)
        held = held_of(conn, destination)
        names = project_names(conn)
        actions = list_actions(conn, envelope_id=envelope_id, limit=PAGE_SIZE) if found else []
    if found is None or destination is None:
        abort(404, description=UNKNOWN)
    row = found.row
    return render_template(
        "delivery.html",
        delivery=found,
        actions=actions,
        projects=names,
        row=row,
        destination=view_of(destination, names, now, held),
        hops=hops_of(row, destination, now),
        sentence=sentence_of(row, stands_by(row, destination, now)),
        lacks_dsn=lacks_dsn(destination, row.state),
        next_at=next_try_at(row, destination, now),
        next_words=next_try(row, destination, now),
        upstream_url=_upstream_url(row),
        is_waiting=row.state in WAITING,
        can_replay=row.state in REPLAYABLE and destination.dsn is not None,
        can_force=row.state == "delivered" and destination.dsn is not None,
        can_discard=row.state in DISCARDABLE,
    )


def read_choice(given: Mapping[str, str]) -> Choice:
    """Read a filter out of an address or a form; what is wrong is left out and told."""
    choice = Choice()
    for name in NAMES:
        value = clean_text(given.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
        if not value:
            continue
        if problem := _problem(name, value):
            choice.problems.append(problem)
        else:
            choice.values[name] = value
    return choice


def _problem(name: str, value: str) -> str | None:
    if name == "state" and value not in STATES:
        return f"There is no state “{value}”."
    if name == "project" and not (value.isascii() and value.isdigit() and len(value) < 10):
        return f"“{value}” is no project's number."
    if name in ("from", "to") and moment_of(value) is None:
        return f"“{value}” is no date and time."
    return None


def filter_of(choice: Choice) -> DeliveryFilter:
    """Return what a choice means to the store."""
    values = choice.values
    return DeliveryFilter(
        state=values.get("state"),
        project_id=int(values["project"]) if "project" in values else None,
        item_type=values.get("item"),
        reason=values.get("reason"),
        event_id=values.get("event"),
        since=moment_of(values.get("from", "")),
        until=moment_of(values.get("to", "")),
    )


def next_tries(
    rows: list[Row[Any]], destinations: list[Destination], now: datetime
) -> dict[int, tuple[str, datetime | None]]:
    """Return when each waiting envelope is tried next: words, and the moment where it is known."""
    known = {one.project_id: one for one in destinations}
    found = {}
    for row in rows:
        destination = known.get(row.project_id) or Destination(row.project_id)
        if row.state in WAITING:
            found[row.id] = next_try(row, destination, now), next_try_at(row, destination, now)
    return found


def home_of(
    choice: Choice, names: Mapping[int, str], destinations: list[Destination]
) -> tuple[int, str] | None:
    """Return the project that is looked at, id and name, where nothing of it is sent on."""
    chosen = int(choice.values.get("project", 0))
    if chosen not in names or any(
        destination.project_id == chosen and destination.dsn for destination in destinations
    ):
        return None
    return chosen, names[chosen]


def held_of(conn: Connection, destination: Destination | None) -> Held:
    """Return what is held of a destination's project."""
    if destination is None:
        return Held()
    return held_by_project(conn, destination.project_id).get(destination.project_id, Held())


def view_of(
    destination: Destination, names: Mapping[int, str], now: datetime, held: Held
) -> DestinationView:
    """Return a destination as its card shows it."""
    state, project_id = reach(destination, now), destination.project_id
    limits = [(name or "everything", until) for name, until in destination.limits.items()]
    return DestinationView(
        project_id=project_id,
        name=names.get(project_id, f"project {project_id}"),
        host=destination.host,
        state=state,
        word=WORDS[state],
        cause=held_up_by(destination, "", now) or destination.cause or "",
        limits=sorted(
            (limit for limit in limits if limit[1] > now), key=lambda one: one[1], reverse=True
        ),
        delivered_at=destination.delivered_at,
        held=held,
    )


def hops_of(row: Row[Any], destination: Destination, now: datetime) -> list[Hop]:
    """Return the hops of an envelope, from the disk on."""
    waits_for, next_at = stands_by(row, destination, now), next_try_at(row, destination, now)
    stored = Hop("stored", row.received_at, None, True, "on the disk")
    return [stored, *delivery_hops(row, row.received_at, waits_for, next_at)]


def _destination_of(conn: Connection, found: Delivery | None) -> Destination | None:
    return current_destinations().find(conn, found.row.project_id) if found else None


def _upstream_url(row: Row[Any]) -> str | None:
    """Return where Sentry shows its event; nothing to open where it has none."""
    return upstream_url(row, current_config().SENTRY_WEB_URL) if row.title else None
