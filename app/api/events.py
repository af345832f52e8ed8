"""Events: the list, one event with all its data, its attachments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response, jsonify
from pydantic import ConfigDict, Field
from sqlalchemy import Row

from app.api.requests import Paged, Query
from app.api.routes import Routes
from app.api.schemas import ApiModel, Grouping, Next
from app.events.attachments import attachments_of, find_attachment
from app.events.queries import find_event
from app.issues.groupings import grouping_of_event
from app.issues.queries import find_issue
from app.protocol.event import Level
from app.search.event_search import EventSearch
from app.web import access
from app.web.current import current_config, current_store
from app.web.delivery_status import Progress, follow, upstream_url
from app.web.downloads import download
from app.web.errors import or_404

UNKNOWN = "no event has this id"

route = Routes("events")


class Hop(ApiModel):
    """One hop of the trail; ``ok`` is null until its result is known."""

    hop: str
    at: datetime | None
    ms: float | None
    ok: bool | None
    detail: str


class DeliveryState(ApiModel):
    """The delivery state of the event's envelope."""

    state: str
    upstream_id: str | None = None
    url: str | None = None


class TimeCorrection(ApiModel):
    """Why the time of an event differs from the time that its client sent.

    `clock_drift`: the client's clock differed when it sent the event, and the time was corrected by
    the same difference. In all other cases the event has the time at which it was received, because
    the client's time was in the `future`, more than 30 days before (`too_old`), or `impossible`.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[str, Field(alias="from")]
    because: Literal["clock_drift", "future", "impossible", "too_old"]


class EventSummary(ApiModel):
    """An event in a list."""

    event_id: str
    issue_id: int
    project_id: int
    level: Level
    title: str
    culprit: str
    platform: str | None
    logger: str | None
    transaction: str | None
    release: str | None
    environment: str | None
    timestamp: datetime
    timestamp_corrected: Annotated[
        TimeCorrection | None,
        Field(description="What the client said, where `timestamp` is not that."),
    ] = None
    received_at: datetime
    delivery: DeliveryState


class Frame(ApiModel):
    """One frame of a stack; lists of frames begin with the oldest call."""

    function: str | None
    module: str | None
    filename: str | None
    abs_path: str | None
    lineno: int | None
    colno: int | None
    in_app: bool
    context_line: str | None
    pre_context: list[str]
    post_context: list[str]
    vars: dict[str, Any]


class ExceptionValue(ApiModel):
    """One exception of the chain; the list begins with the oldest cause."""

    type: str | None
    value: str | None
    module: str | None
    mechanism: str | None
    handled: bool | None
    frames: list[Frame]


class EventDetail(EventSummary):
    """An event with all its data."""

    message: str | None
    server_name: str | None
    user: dict[str, Any]
    tags: dict[str, str]
    contexts: dict[str, Any]
    extra: dict[str, Any]
    request: dict[str, Any]
    sdk: dict[str, Any]
    exceptions: list[ExceptionValue]
    stack: list[Frame]
    breadcrumbs: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    # Whether there were more attachments, which are no longer stored.
    attachments_removed: bool
    scrubbed: list[dict[str, str]]
    grouping: Grouping
    ignored_by: str | None
    duplicates: int
    trail: list[Hop]


class EventPage(ApiModel):
    """A page of events, newest first."""

    events: list[EventSummary]
    next: Next
    searched_back_to: datetime | None = Field(
        description="Where a search stopped, which reads at most 20,000 events a page; null if it"
        " did not. `next` goes on from there."
    )


class EventQuery(EventSearch, Paged):
    """The events to list."""


class RawQuery(Query):
    """The format of an event."""

    raw: Annotated[bool, Field(description="The payload as it was stored.")] = False


@route("GET /api/events", access.reads)
def get_events(query: EventQuery) -> EventPage:
    """List events, newest first."""
    with current_store().read() as conn:
        page = query.page(conn, before=query.cursor, limit=query.limit)
    return EventPage(
        events=[_summary(row) for row in page.rows],
        next=None if page.next is None else str(page.next),
        searched_back_to=page.searched_back_to,
    )


@route("GET /api/events/<event_id>", access.reads)
def get_event(event_id: str, query: RawQuery) -> EventDetail | Response:
    """Return an event with all its data.

    :raise 404: no event has this id.
    """
    with current_store().read() as conn:
        progress = or_404(follow(conn, event_id), UNKNOWN)
        row = progress.stored.row
        or_404(find_issue(conn, row.issue_id), UNKNOWN)
        if query.raw:
            return jsonify(progress.stored.payload)
        attached = [attachment.described() for attachment in attachments_of(conn, row)]
        return _detail(progress, grouping_of_event(conn, row), attached)


@route("GET /api/events/<event_id>/attachments/<int:number>", access.reads)
def get_attachment(event_id: str, number: int) -> Response:
    """Download an attachment of an event.

    `number` is its index in the event's `attachments`, from 0.

    :raise 404: the event does not exist, or has no attachment with this number.
    """
    with current_store().read() as conn:
        stored = find_event(conn, event_id)
        found = find_attachment(conn, stored.row, number) if stored else None
    return download(or_404(found, "the event has no such attachment"))


def _summary(row: Row[Any]) -> EventSummary:
    correction, delivery = _correction(row), _delivery(row)
    return EventSummary.of(row, timestamp_corrected=correction, delivery=delivery)


def _correction(row: Row[Any]) -> dict[str, str] | None:
    if row.timestamp_corrected is None:
        return None
    return {"from": row.client_timestamp, "because": row.timestamp_corrected}


def _delivery(row: Row[Any]) -> DeliveryState:
    upstream_id = (row.upstream_id or row.event_id) if row.state == "delivered" else None
    url = upstream_url(row, current_config().SENTRY_WEB_URL)
    return DeliveryState(state=row.state, upstream_id=upstream_id, url=url)


def grouping_of(row: Row[Any] | None) -> Grouping:
    """Return a row of ``groupings`` as the API shows it; ``None`` gives an empty grouping."""
    return Grouping.of(row) if row else Grouping(version="", key="", reason=None)


def _detail(
    progress: Progress, grouping: Row[Any] | None, attached: list[dict[str, Any]]
) -> EventDetail:
    row = progress.stored.row
    summary = _summary(row)
    delivery = summary.delivery.model_copy(update={"url": progress.upstream_url})
    return EventDetail.of(
        progress.stored.event,
        **vars(summary) | {"delivery": delivery},
        attachments=attached,
        attachments_removed=row.attachments_removed,
        scrubbed=row.scrubbed,
        duplicates=row.duplicates,
        grouping=grouping_of(grouping),
        ignored_by=row.ignored_by,
        trail=progress.hops,
    )
