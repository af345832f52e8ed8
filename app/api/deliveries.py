"""Deliveries: the ledger as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal

from flask import Response, stream_with_context
from pydantic import Field
from sqlalchemy import Connection, Row

from app.accounts import audit
from app.api.requests import Cursor, Limit, Paged, first_page, number_after
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.delivery.action_history import list_actions
from app.delivery.destinations import Destination
from app.delivery.filter import DeliveryFilter
from app.delivery.ledger import (
    Held,
    counts_by_state,
    find_delivery,
    last_attempts,
    overview,
    page_of_deliveries,
)
from app.delivery.upstreams import next_try_at, probe_at, reach
from app.events.contents import MAX_ITEMS, contents_of
from app.inputs import RowNumber
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store
from app.web.errors import or_404

CSV_PAGE = 500
CSV_COLUMNS = (
    "id",
    "project_id",
    "event_id",
    "item_types",
    "state",
    "reason",
    "attempts",
    "last_at",
    "last_status",
    "last_error",
    "last_ms",
    "received_at",
    "next_at",
    "settled_at",
    "size_bytes",
    "upstream_id",
    "destination",
)
# A spreadsheet reads a cell that begins so as a formula.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

route = Routes("deliveries")


class Attempt(ApiModel):
    """One attempt to send an envelope; ``state`` is the state of the envelope after it."""

    at: datetime
    status: int | None
    error: str | None
    ms: float
    next_at: datetime | None
    state: str


class Delivery(ApiModel):
    """An envelope and its delivery to Sentry; in a list it has only its last attempt."""

    id: int
    project_id: int
    event_id: str | None
    item_types: list[str]
    state: str
    reason: str | None
    attempts: list[Attempt]
    attempt_count: int
    received_at: datetime
    next_at: datetime | None
    settled_at: datetime | None
    size_bytes: int
    upstream_id: str | None
    destination: str | None


class EnvelopeItem(ApiModel):
    """An item of an envelope."""

    type: str
    name: str = Field(description="What the type is called.")
    words: str = Field(description="What is in it, as far as it is known here.")
    content_type: str | None
    size_bytes: int


class DeliveryWithItems(Delivery):
    """A delivery with what is in its envelope."""

    items: list[EnvelopeItem] = Field(description=f"The first {MAX_ITEMS}.")
    more_items: int


class DeliveryPage(ApiModel):
    """A page of deliveries, newest first; ``total`` is null with a filter other than ``state``."""

    deliveries: list[Delivery]
    next: Next
    total: int | None


class DestinationState(ApiModel):
    """The destination of a project's envelopes, and what holds them up."""

    project_id: int
    host: str | None
    state: Literal["none", "paused", "open", "limited", "failing", "closed"]
    cause: str | None
    paused_at: datetime | None
    open_since: datetime | None
    probe_at: datetime | None
    limits: dict[str, datetime]
    delivered_at: datetime | None
    waiting: int
    parked: int


class Owed(ApiModel):
    """A number of items that were not sent, still to be reported to Sentry."""

    project_id: int
    reason: str
    category: str
    quantity: int


class DeliveryAction(ApiModel):
    """An action of a person or a token on an envelope, on a filter, or on a destination."""

    id: int
    at: datetime
    actor: str
    kind: str
    envelope_id: int | None
    project_id: int | None
    filter: dict[str, str]
    envelopes: int


class DeliveryActions(ApiModel):
    """A page of actions, newest first."""

    actions: list[DeliveryAction]
    next: Next


class DeliveryOverview(ApiModel):
    """The state of delivery as a whole."""

    counts: dict[str, int]
    oldest_waiting_at: datetime | None
    delivered_per_minute: float
    destinations: list[DestinationState]
    owed: list[Owed]


class DeliveryQuery(DeliveryFilter):
    """The deliveries to list."""

    cursor: Cursor | None = None
    limit: Limit = 50


class CsvQuery(DeliveryQuery):
    """The deliveries of the file; the last id of a file is the `cursor` of the next file."""

    limit: Annotated[int, Field(ge=1, le=1_000_000, description="How many rows.")] = 10_000


@route("GET /api/deliveries", access.reads)
def get_deliveries(query: DeliveryQuery) -> DeliveryPage:
    """List deliveries, newest first, each with its last attempt."""
    with current_store().read() as conn:
        page = page_of_deliveries(conn, query, before=query.cursor, limit=query.limit)
        found = _deliveries(conn, page.rows)
        total = _total(conn, query)
    return DeliveryPage(deliveries=found, next=number_after(page), total=total)


@route("GET /api/deliveries.csv", access.reads, media="text/csv")
def get_deliveries_csv(query: CsvQuery) -> Response:
    """Return deliveries as a CSV file, newest first, each with its last attempt."""
    # The file is read and sent page by page.
    lines = _csv(query, query.cursor, query.limit)
    first = next(lines)  # A store that does not answer must give a 503, not a broken file.
    with current_store().write() as conn:
        audit.note_once_a_minute(conn, "exported", "deliveries.csv", f"at most {query.limit} rows")
    response = Response(
        stream_with_context(chain([first], lines)), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = 'attachment; filename="deliveries.csv"'
    return response


@route("GET /api/deliveries/overview", access.reads)
def get_delivery_overview() -> DeliveryOverview:
    """Return the state of delivery: counts, rate, destinations with circuit and limits."""
    now = utc_now()
    with current_store().read() as conn:
        found = overview(conn, current_destinations(), now)
    return DeliveryOverview(
        counts=found.counts,
        oldest_waiting_at=found.oldest_at,
        delivered_per_minute=found.per_minute,
        destinations=[
            destination_state(destination, now, found.held.get(destination.project_id, Held()))
            for destination in found.destinations
        ],
        owed=found.owed,
    )


class ActionQuery(Paged):
    """The page of the history, and the envelope it is about."""

    envelope_id: RowNumber | None = None


@route("GET /api/deliveries/actions", access.reads)
def get_delivery_actions(query: ActionQuery) -> DeliveryActions:
    """List who replayed, discarded, paused and resumed what, newest first."""
    with current_store().read() as conn:
        rows = list_actions(
            conn, envelope_id=query.envelope_id, before=query.cursor, limit=query.limit + 1
        )
    page, more = first_page(rows, query.limit)
    return DeliveryActions(actions=page, next=more)


@route("GET /api/deliveries/<int:envelope_id>", access.reads)
def get_delivery(envelope_id: int) -> DeliveryWithItems:
    """Return a delivery with its newest 200 attempts, and what is in its envelope.

    :raise 404: no envelope has this id.
    """
    with current_store().read() as conn:
        found = or_404(find_delivery(conn, envelope_id), "no envelope has this id")
        known, contents = _known(conn), contents_of(conn, envelope_id)
    delivery = _delivery(found.row, found.attempts, found.attempt_count, known)
    items = [EnvelopeItem.of(item) for item in contents.items]
    return DeliveryWithItems.of(delivery, items=items, more_items=contents.more)


def destination_state(destination: Destination, now: datetime, held: Held) -> DestinationState:
    """Return a destination as the API shows it: only the host of its DSN, only limits in force."""
    return DestinationState.of(
        destination,
        state=reach(destination, now),
        probe_at=probe_at(destination, now),
        limits={name or "all": until for name, until in destination.limits.items() if until > now},
        **held._asdict(),
    )


def _total(conn: Connection, chosen: DeliveryFilter) -> int | None:
    if chosen.given.keys() - {"state"}:
        return None
    counts = counts_by_state(conn)
    return counts[chosen.state] if chosen.state else sum(counts.values())


def _deliveries(conn: Connection, rows: list[Row[Any]]) -> list[Delivery]:
    last, known = last_attempts(conn, [row.id for row in rows]), _known(conn)
    return [
        _delivery(row, [last[row.id].attempt], last[row.id].total, known)
        if row.id in last
        else _delivery(row, [], 0, known)
        for row in rows
    ]


def _known(conn: Connection) -> dict[int, Destination]:
    return {row.project_id: row for row in current_destinations().list(conn)}


def _delivery(
    row: Row[Any], attempts: list[Row[Any]], count: int, known: dict[int, Destination]
) -> Delivery:
    destination = known.get(row.project_id) or Destination(row.project_id)
    return Delivery.of(
        row,
        item_types=[name for name in row.item_types.split(",") if name],
        attempts=attempts,
        attempt_count=count,
        next_at=next_try_at(row, destination, utc_now()),
        destination=destination.host,
    )


# ---- CSV ----------------------------------------------------------------------------------------


def _csv(chosen: DeliveryFilter, before: int | None, limit: int) -> Iterator[str]:
    """Yield the file in parts; each part is read in its own transaction."""
    head = True
    while limit > 0:
        with current_store().read() as conn:
            page = page_of_deliveries(conn, chosen, before=before, limit=min(CSV_PAGE, limit))
            found = _deliveries(conn, page.rows)
        yield _lines(found, head=head)
        if page.next is None:
            return
        head, limit, before = False, limit - len(found), page.next[-1]


def _lines(page: list[Delivery], *, head: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    if head:
        writer.writerow(CSV_COLUMNS)
    writer.writerows([_cell(value) for value in _row(row)] for row in page)
    return text.getvalue()


def _row(delivery: Delivery) -> list[Any]:
    last = delivery.attempts[0] if delivery.attempts else None
    values = delivery.model_dump() | {
        "item_types": " ".join(delivery.item_types),
        "attempts": delivery.attempt_count,
        "last_at": last and last.at,
        "last_status": last and last.status,
        "last_error": last and last.error,
        "last_ms": last and last.ms,
    }
    return [values[name] for name in CSV_COLUMNS]


def _cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet reads as a formula."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
