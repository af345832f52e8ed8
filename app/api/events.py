"""Events: lists and one whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy import Row

from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.requests import Paged, Query, number_after, read_query
from app.api.schemas import (
    DeliveryState,
    EventDetail,
    EventPage,
    EventSummary,
    ExceptionValue,
    Frame,
    Grouping,
    Hop,
)
from app.events.attachments import attachments_of, find_attachment
from app.events.filter import EventFilter
from app.events.queries import find_event, page_of_events
from app.issues.groupings import grouping_of_event
from app.issues.queries import find_issue
from app.web import access
from app.web.current import current_config, current_store
from app.web.delivery_status import Progress, follow, upstream_url
from app.web.downloads import download
from app.web.errors import or_404


class EventQuery(EventFilter, Paged):
    """What a list of events is narrowed to."""


class RawQuery(Query):
    """How to show one event."""

    raw: Annotated[bool, Field(description="The payload as it was stored.")] = False


@bp.get("/api/events")
@access.reads
@describe(
    Operation(
        "Recent events, newest first",
        {200: EventPage},
        query=EventQuery,
        problems=(422, 503),
        tag="events",
    )
)
def get_events() -> ResponseReturnValue:
    """Return a page of events."""
    query = read_query(EventQuery)
    with current_store().read() as conn:
        page = page_of_events(conn, query, before=query.cursor, limit=query.limit)
    found = [EventSummary(**_summary(row)) for row in page.rows]
    return answer(EventPage(events=found, next=number_after(page)))


@bp.get("/api/events/<event_id>")
@access.reads
@describe(
    Operation(
        "One event whole",
        {200: EventDetail},
        query=RawQuery,
        problems=(404, 422, 503),
        tag="events",
    )
)
def get_event(event_id: str) -> ResponseReturnValue:
    """Return one event; its payload with ``?raw=1``.

    :raise 404: no event has this id.
    """
    raw = read_query(RawQuery).raw
    with current_store().read() as conn:
        progress = or_404(follow(conn, event_id), "no event has this id")
        row = progress.stored.row
        or_404(find_issue(conn, row.issue_id), "no event has this id")
        grouping = grouping_of_event(conn, row)
        attached = [] if raw else [file.described() for file in attachments_of(conn, row)]
    if raw:
        return jsonify(progress.stored.payload)
    return answer(_detail(progress, grouping, attached))


@bp.get("/api/events/<event_id>/attachments/<int:number>")
@access.reads
@describe(
    Operation(
        "An attachment of an event, to be saved",
        {200: "application/octet-stream"},
        problems=(404, 503),
        tag="events",
    )
)
def get_attachment(event_id: str, number: int) -> ResponseReturnValue:
    """Return an attachment, by its place in the event's `attachments`, from 0.

    :raise 404: there is no such event, or not so many attachments.
    """
    with current_store().read() as conn:
        stored = or_404(find_event(conn, event_id), "no event has this id")
        found = or_404(
            find_attachment(conn, stored.row, number), "the event has no such attachment"
        )
    return download(found)


def _summary(row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    return {
        **{name: values[name] for name in EventSummary.model_fields if name in values},
        "timestamp_corrected": _correction(row),
        "delivery": _delivery(row),
    }


def _correction(row: Row[Any]) -> dict[str, str] | None:
    if row.timestamp_corrected is None:
        return None
    return {"from": row.client_timestamp, "because": row.timestamp_corrected}


def _delivery(row: Row[Any]) -> DeliveryState:
    upstream_id = (row.upstream_id or row.event_id) if row.state == "delivered" else None
    url = upstream_url(row, current_config().SENTRY_WEB_URL)
    return DeliveryState(state=row.state, upstream_id=upstream_id, url=url)


def grouping_of(row: Row[Any] | None) -> Grouping:
    """Return a row of ``groupings`` as callers get it; without one, of no version."""
    if row is None:
        return Grouping(version="", key="", reason=None)
    return Grouping(version=row.version, key=row.key, reason=row.reason)


def _detail(
    progress: Progress, grouping: Row[Any] | None, attached: list[dict[str, Any]]
) -> EventDetail:
    stored = progress.stored
    row, event = stored.row, stored.event
    whole: dict[str, Any] = {
        name: getattr(event, name) for name in EventDetail.model_fields if hasattr(event, name)
    }
    whole |= _summary(row)
    whole |= {
        "exceptions": [ExceptionValue(**asdict(exception)) for exception in event.exceptions],
        "attachments": attached,
        "attachments_removed": row.attachments_removed,
        "stack": [Frame(**asdict(frame)) for frame in event.stack],
        "scrubbed": row.scrubbed,
        "duplicates": row.duplicates,
        "grouping": grouping_of(grouping),
        "ignored_by": row.ignored_by,
        "trail": [Hop(**hop._asdict()) for hop in progress.hops],
    }
    return EventDetail(**whole)
