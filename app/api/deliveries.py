"""Deliveries: the ledger as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response, abort, stream_with_context
from flask.typing import ResponseReturnValue
from pydantic import AwareDatetime, Field
from sqlalchemy import Connection, Row

from app.api import bp
from app.api.events import Limit, RowNumber, number_after
from app.api.openapi import Operation, answer, describe
from app.api.requests import Query, read_query
from app.api.schemas import (
    Attempt,
    Delivery,
    DeliveryAction,
    DeliveryActions,
    DeliveryOverview,
    DeliveryPage,
    DestinationState,
    Owed,
)
from app.delivery.action_history import list_actions
from app.delivery.destinations import Destination
from app.delivery.ledger import (
    DeliveryFilter,
    Held,
    counts_by_state,
    find_delivery,
    last_attempts,
    overview,
    page_of_deliveries,
)
from app.delivery.upstreams import next_try_at, probe_at, reach
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store

State = Literal["local", "pending", "retry", "delivered", "parked", "expired", "discarded"]
ProjectId = Annotated[int, Field(ge=1, lt=2**31)]

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
# What a spreadsheet takes for a formula. Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Narrowing(Query):
    state: State | None = None
    project_id: ProjectId | None = None
    item_type: Annotated[str, Field(max_length=64, description="Of one of its items.")] | None = (
        None
    )
    reason: (
        Annotated[str, Field(max_length=200, description="Part of why it is not delivered.")] | None
    ) = None
    event_id: Annotated[str, Field(max_length=36, description="Of the event in it.")] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None


class DeliveryQuery(_Narrowing):
    """What a list of deliveries is narrowed to."""

    limit: Limit = 50


class CsvQuery(_Narrowing):
    """What a file of deliveries is narrowed to; to go on, `cursor` is the last id of the file."""

    limit: Annotated[int, Field(ge=1, le=1_000_000, description="How many rows.")] = 10_000


@bp.get("/api/deliveries")
@access.reads
@describe(
    Operation(
        "Deliveries, newest first, each with its last attempt",
        {200: DeliveryPage},
        query=DeliveryQuery,
        problems=(422, 503),
        tag="deliveries",
    )
)
def get_deliveries() -> ResponseReturnValue:
    """Return a page of deliveries."""
    query = read_query(DeliveryQuery)
    chosen = _filter(query)
    with current_store().read() as conn:
        page = page_of_deliveries(conn, chosen, before=query.cursor, limit=query.limit)
        found = _deliveries(conn, page.rows)
        total = _total(conn, chosen)
    return answer(DeliveryPage(deliveries=found, next=number_after(page), total=total))


@bp.get("/api/deliveries.csv")
@access.reads
@describe(
    Operation(
        "Deliveries as a file, newest first, each with its last attempt",
        {200: "text/csv"},
        query=CsvQuery,
        problems=(422, 503),
        tag="deliveries",
    )
)
def get_deliveries_csv() -> ResponseReturnValue:
    """Return deliveries as CSV, read and sent in pages."""
    query = read_query(CsvQuery)
    lines = _csv(_filter(query), query.cursor, query.limit)
    first = next(lines)  # Now, so that a store that does not answer is a 503 and no broken file.
    response = Response(
        stream_with_context(_chained(first, lines)), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = 'attachment; filename="deliveries.csv"'
    return response


@bp.get("/api/deliveries/overview")
@access.reads
@describe(
    Operation(
        "How delivery is: counts, rate, destinations with circuit and limits",
        {200: DeliveryOverview},
        problems=(503,),
        tag="deliveries",
    )
)
def get_delivery_overview() -> ResponseReturnValue:
    """Return how delivery is as a whole."""
    now = utc_now()
    with current_store().read() as conn:
        found = overview(conn, current_destinations(), now)
    report = DeliveryOverview(
        counts=found.counts,
        oldest_waiting_at=found.oldest_at,
        delivered_per_minute=found.per_minute,
        destinations=[
            destination_state(destination, now, found.held.get(destination.project_id, Held()))
            for destination in found.destinations
        ],
        owed=[Owed(**row._mapping) for row in found.owed],
    )
    return answer(report)


class ActionQuery(Query):
    """Which page of the history."""

    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None
    envelope_id: RowNumber | None = None


@bp.get("/api/deliveries/actions")
@access.reads
@describe(
    Operation(
        "Who replayed, discarded, paused and resumed what, newest first",
        {200: DeliveryActions},
        query=ActionQuery,
        problems=(422, 503),
        tag="deliveries",
    )
)
def get_delivery_actions() -> ResponseReturnValue:
    """Return a page of the history."""
    query = read_query(ActionQuery)
    with current_store().read() as conn:
        rows = list_actions(
            conn, envelope_id=query.envelope_id, before=query.cursor, limit=query.limit + 1
        )
    page = [DeliveryAction(**row._mapping) for row in rows[: query.limit]]
    following = str(page[-1].id) if len(rows) > query.limit else None
    return answer(DeliveryActions(actions=page, next=following))


@bp.get("/api/deliveries/<int:envelope_id>")
@access.reads
@describe(
    Operation(
        "One delivery with its newest 200 attempts",
        {200: Delivery},
        problems=(404, 503),
        tag="deliveries",
    )
)
def get_delivery(envelope_id: int) -> ResponseReturnValue:
    """Return one delivery.

    :raise 404: no envelope has this id.
    """
    with current_store().read() as conn:
        found = find_delivery(conn, envelope_id)
        known = _known(conn)
    if found is None:
        abort(404, description="no envelope has this id")
    return answer(_delivery(found.row, found.attempts, found.attempt_count, known))


def destination_state(destination: Destination, now: datetime, held: Held) -> DestinationState:
    """Return a destination as the API shows it: of its DSN the host alone, no moment gone by."""
    names = ("project_id", "host", "cause", "paused_at", "open_since", "delivered_at")
    values = {name: getattr(destination, name) for name in names}
    values |= {"probe_at": probe_at(destination, now), **held._asdict()}
    limits = {name or "all": until for name, until in destination.limits.items() if until > now}
    return DestinationState(**values, state=reach(destination, now), limits=limits)


def _filter(query: _Narrowing) -> DeliveryFilter:
    return DeliveryFilter(**query.model_dump(exclude={"limit", "cursor"}))


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
    values = dict(row._mapping) | {
        "item_types": [name for name in row.item_types.split(",") if name],
        "attempts": [Attempt(**attempt._mapping) for attempt in attempts],
        "attempt_count": count,
        "next_at": next_try_at(row, destination, utc_now()),
        "destination": destination.host,
    }
    return Delivery(**{name: values[name] for name in Delivery.model_fields})


# ---- CSV ----------------------------------------------------------------------------------------


def _csv(chosen: DeliveryFilter, before: int | None, limit: int) -> Iterator[str]:
    """Yield the file in parts; each is read in a transaction of its own."""
    head = True
    while limit > 0:
        with current_store().read() as conn:
            page = page_of_deliveries(conn, chosen, before=before, limit=min(CSV_PAGE, limit))
            found = _deliveries(conn, page.rows)
        yield _lines(found, head=head)
        if page.next is None:
            return
        head, limit, before = False, limit - len(found), page.next[-1]


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


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
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
