"""Deliveries: the state of the destinations, the ledger, one envelope with its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.filter_bar import read_choice, row_number
from app.admin.header import header_from
from app.admin.lookups import project_names, project_options
from app.admin.trails import lacks_dsn, sentence_of
from app.confirmation.reading import RANGE, Confirmation, Tally, missing_events, tallies
from app.delivery.action_history import list_actions
from app.delivery.actions import DISCARDABLE, REPLAYABLE
from app.delivery.destinations import Destination
from app.delivery.filter import STATES, DeliveryFilter, Unfiltered
from app.delivery.ledger import (
    Held,
    find_delivery,
    held_by_project,
    last_attempts,
    overview,
    page_of_deliveries,
)
from app.delivery.upstreams import WORDS, held_up_by, next_try, next_try_at, reach
from app.events.contents import contents_of
from app.events.states import WAITING
from app.events.trail import Hop, delivery_hops, why_not_sent
from app.protocol.envelope import PROFILE_ITEMS
from app.store import utc_now
from app.store.paging import SCAN_ROWS
from app.web import access
from app.web.current import current_config, current_destinations, current_store
from app.web.delivery_status import confirmation_of_row, stands_by, upstream_url
from app.web.errors import or_404

PAGE_SIZE = 50
ACTIONS_SHOWN = 10
UNKNOWN = "no envelope has this id; it may have been removed since"


@dataclass(frozen=True)
class DestinationView:
    """A destination as its card shows it.

    :param cause: what it waits for, or why the last attempt failed, in words; else empty.
    :param limits: categories and the end of their rate limit, the latest end first.
    :param held: how many envelopes wait for it, and how many Sentry refused.
    :param confirmed: the events of the last day that Sentry was asked about.
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
    confirmed: Tally | None = None


@bp.get("/deliveries")
@access.views
def list_of_deliveries() -> ResponseReturnValue:
    """Show the state of delivery, and a page of the ledger."""
    choice = read_choice(DeliveryFilter, request.args)
    before, now = row_number("before"), utc_now()
    with current_store().read() as conn:
        found = overview(conn, current_destinations(), now)
        listed = choice.form if choice.values else Unfiltered()
        page = page_of_deliveries(conn, listed, before=before, limit=PAGE_SIZE)
        tries = last_attempts(conn, [row.id for row in page.rows])
        asked = tallies(conn, found.destinations, current_destinations(), now)
        missing = _missing(conn, asked, choice.form.project_id, now)
        header = header_from(conn)
        names = dict(header.projects)
        actions = list_actions(conn, limit=ACTIONS_SHOWN) if before is None else []
    state, by_project = choice.form.state, {one.project_id: one for one in asked}
    return render_template(
        "deliveries.html",
        header=lambda: header,
        overview=found,
        destinations=[
            view_of(
                destination,
                names,
                now,
                found.held.get(destination.project_id, Held()),
                by_project.get(destination.project_id),
            )
            for destination in found.destinations
        ],
        missing=missing,
        home=home_of(choice.form.project_id, names, found.destinations),
        owed=sum(row.quantity for row in found.owed),
        choice=choice,
        states=STATES,
        projects=names,
        options={"project": project_options(names)},
        rows=page.rows,
        tries=tries,
        next=next_tries(page.rows, found.destinations, now),
        why=why_not_sent,
        can_replay=state in REPLAYABLE or (state is None and choice.narrowing),
        can_discard=state in DISCARDABLE,
        is_first=before is None,
        actions=actions,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.get("/deliveries/<int:envelope_id>")
@access.views
def show_delivery(envelope_id: int) -> ResponseReturnValue:
    """Show an envelope with its attempts.

    :raise 404: no envelope has this id.
    """
    now = utc_now()
    with current_store().read() as conn:
        found = or_404(find_delivery(conn, envelope_id), UNKNOWN)
        row = found.row
        destination = current_destinations().find(conn, row.project_id)
        held = held_by_project(conn, row.project_id).get(row.project_id, Held())
        names = project_names(conn)
        known = confirmation_of_row(conn, row, destination) if row.title else None
        actions = list_actions(conn, envelope_id=envelope_id, limit=PAGE_SIZE)
        contents = contents_of(conn, envelope_id)
    return render_template(
        "delivery.html",
        delivery=found,
        contents=contents,
        profile_types=PROFILE_ITEMS,
        actions=actions,
        projects=names,
        row=row,
        destination=view_of(destination, names, now, held),
        hops=hops_of(row, destination, now, known),
        sentence=sentence_of(row, stands_by(row, destination, now)),
        lacks_dsn=lacks_dsn(destination, row.state),
        next_at=next_try_at(row, destination, now),
        next_words=next_try(row, destination, now),
        upstream_url=_upstream_url(row, known),
        is_waiting=row.state in WAITING,
        can_replay=row.state in REPLAYABLE and destination.dsn is not None,
        can_force=row.state == "delivered" and destination.dsn is not None,
        can_discard=row.state in DISCARDABLE,
    )


def _missing(
    conn: Connection, asked: list[Tally], project_id: int | None, now: datetime
) -> list[Row[Any]]:
    """Return the events of the last day that Sentry accepted and does not show."""
    if not any(one.missing for one in asked):
        return []
    return missing_events(conn, now - RANGE, project_id)


def next_tries(
    rows: list[Row[Any]], destinations: list[Destination], now: datetime
) -> dict[int, tuple[str, datetime | None]]:
    """Return the next attempt of each waiting envelope, by row id.

    :return: words, and the time of the attempt if it is known.
    """
    known = {one.project_id: one for one in destinations}
    found = {}
    for row in rows:
        destination = known.get(row.project_id) or Destination(row.project_id)
        if row.state in WAITING:
            found[row.id] = next_try(row, destination, now), next_try_at(row, destination, now)
    return found


def home_of(
    project_id: int | None, names: Mapping[int, str], destinations: list[Destination]
) -> tuple[int, str] | None:
    """Return id and name of the chosen project if it has no DSN to send to, else ``None``."""
    if project_id is None or project_id not in names:
        return None
    if any(one.project_id == project_id and one.dsn for one in destinations):
        return None
    return project_id, names[project_id]


def view_of(
    destination: Destination,
    names: Mapping[int, str],
    now: datetime,
    held: Held,
    confirmed: Tally | None = None,
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
        confirmed=confirmed,
    )


def hops_of(
    row: Row[Any], destination: Destination, now: datetime, known: Confirmation | None = None
) -> list[Hop]:
    """Return the hops of an envelope, beginning with its storage on disk."""
    waits_for, next_at = stands_by(row, destination, now), next_try_at(row, destination, now)
    stored = Hop("stored", row.received_at, None, True, "on the disk")
    confirmed = known.hop() if known else None
    hops = delivery_hops(row, row.received_at, waits_for, next_at)
    return [stored, *hops, *([confirmed] if confirmed else [])]


def _upstream_url(row: Row[Any], known: Confirmation | None) -> str | None:
    """Return the address at which Sentry shows the event; ``None`` for rows without a title."""
    return upstream_url(row, current_config().SENTRY_WEB_URL, known) if row.title else None
