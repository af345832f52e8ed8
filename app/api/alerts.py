"""Notifications of alerts, and the attempts to send them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from flask import abort
from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema
from sqlalchemy import Row

from app.alerts import queries
from app.alerts.notifications import send_again
from app.alerts.queries import ChannelDelivery
from app.api.requests import EmptyBody, Limit, Query
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.inputs import ProjectId, RowNumber
from app.store import utc_now
from app.web import access
from app.web.current import current_store

UNKNOWN = "no notification has this id"


route = Routes("alerts")


class NoticeAttempt(ApiModel):
    """One attempt; `status` is that of HTTP or SMTP, null if there was no answer."""

    at: datetime
    ms: float
    status: int | None
    error: str | None
    state: str
    next_at: datetime | None


class NoticeSending(ApiModel):
    """A notification on one channel; `state` has the values of the state of a delivery."""

    channel_id: int | None
    channel_kind: str
    channel_name: str
    state: str
    reason: str | None
    attempts: int
    next_at: datetime | None
    settled_at: datetime | None


class SendingDetail(NoticeSending):
    """A notification on one channel, with its newest attempts, newest first."""

    tries: list[NoticeAttempt]


class NoticeIssue(ApiModel):
    """An issue that a notification names, as it was when the notification was made.

    `back` is only set for an issue that came back. `cause` is the first line of the exception that
    caused the issue's exception.
    """

    issue_id: int
    event_id: str | None
    title: str
    place: str
    events: int
    users: int
    environment: str | None
    release: str | None
    back: str | None
    cause: str | None


class Notice(ApiModel):
    """A notification; `total` counts its issues.

    `kind` is that of its rule, `test`, or `resolved`.
    """

    id: int
    uid: str
    kind: str
    at: datetime
    title: str
    text: str
    project_id: int | None
    rule_id: int | None
    issue_id: int | None
    event_id: str | None
    total: int
    sendings: list[NoticeSending]


class NoticeDetail(Notice):
    """A notification with its attempts and its issues, the worst first, at most 1000."""

    issues: list[NoticeIssue]
    sendings: list[SendingDetail]  # type: ignore[assignment]  # narrower, for reading only


class NoticePage(ApiModel):
    """A page of notifications, newest first."""

    alerts: list[Notice]
    next: str | None = None


class SentAgain(ApiModel):
    """The number of channels that send a notification again."""

    channels: int


class NoticeQuery(Query):
    """The notifications to list."""

    project_id: ProjectId | None = None
    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None


def one_of(names: Iterable[str]) -> GetPydanticSchema:
    """Return a type that allows only these names, like a ``Literal`` made at run time."""
    return GetPydanticSchema(lambda *_: core_schema.literal_schema(list(names)))


@route("GET /api/alerts", access.reads)
def get_alerts(query: NoticeQuery) -> NoticePage:
    """List notifications, newest first, each with its channels."""
    with current_store().read() as conn:
        rows = queries.list_notifications(
            conn, project_id=query.project_id, before=query.cursor, limit=query.limit + 1
        )
        page = rows[: query.limit]
        sendings = queries.sendings_of(conn, [row.id for row in page])
    found = [
        Notice(
            **_fields(row, Notice),
            sendings=[_sending(sending) for sending in sendings.get(row.id, [])],
        )
        for row in page
    ]
    return NoticePage(alerts=found, next=str(page[-1].id) if len(rows) > query.limit else None)


@route("GET /api/alerts/<int:notice_id>", access.reads)
def get_alert(notice_id: int) -> NoticeDetail:
    """Return a notification with its issues and its attempts.

    :raise 404: no notification has this id.
    """
    with current_store().read() as conn:
        detail = queries.find_detail(conn, notice_id) or abort(404, description=UNKNOWN)
    ways = [_detail(way) for way in detail.ways]
    issues = [NoticeIssue(**_fields(issue, NoticeIssue)) for issue in detail.issues]
    return NoticeDetail(**_fields(detail.notification, Notice), issues=issues, sendings=ways)


@route("POST /api/alerts/<int:notice_id>/send", access.writes)
def send_alert_again(notice_id: int, body: EmptyBody) -> SentAgain:
    """Send a notification again by the channels that gave up.

    Channels that have sent it do not send it again.

    :raise 404: no notification has this id.
    """
    with current_store().write() as conn:
        if queries.find_notification(conn, notice_id) is None:
            abort(404, description=UNKNOWN)
        ways = send_again(conn, notice_id, utc_now())
    return SentAgain(channels=ways)


def _detail(way: ChannelDelivery) -> SendingDetail:
    found = [NoticeAttempt(**_fields(attempt, NoticeAttempt)) for attempt in way.attempts]
    return SendingDetail(**_fields(way.sending, NoticeSending), tries=found)


def _sending(row: Row[Any]) -> NoticeSending:
    return NoticeSending(**_fields(row, NoticeSending))


def _fields(row: Row[Any], model: type[ApiModel]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if name != "sendings"}
