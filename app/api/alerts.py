"""Notifications: what alerts said, and how it went out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field, GetPydanticSchema
from pydantic_core import core_schema
from sqlalchemy import Row

from app.alerts import queries
from app.alerts.errors import AlertError
from app.alerts.notifications import send_again
from app.alerts.queries import ChannelDelivery
from app.api import bp
from app.api.requests import EmptyBody, Limit, ProjectId, Query, RowNumber
from app.api.routes import Routes
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors, answer_field_errors

UNKNOWN = "no notification has this id"


route = Routes("alerts")


class NoticeAttempt(BaseModel):
    """One try; `status` of HTTP or SMTP, null without an answer."""

    at: datetime
    ms: float
    status: int | None
    error: str | None
    state: str
    next_at: datetime | None


class NoticeSending(BaseModel):
    """A notification's way out by one channel; `state` as a delivery's."""

    channel_id: int | None
    channel_kind: str
    channel_name: str
    state: str
    reason: str | None
    attempts: int
    next_at: datetime | None
    settled_at: datetime | None


class SendingDetail(NoticeSending):
    """A notification's way out by one channel, with its newest attempts, the newest first."""

    tries: list[NoticeAttempt]


class NoticeIssue(BaseModel):
    """An issue that a notification names, as it was then; `back` of one that came back, `cause` the
    first line of the exception behind it."""

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


class Notice(BaseModel):
    """A notification; `kind` is that of its rule, or `test`; `total` counts the issues named."""

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
    """A notification with every attempt, and the issues it names, the worst first, at most 1000."""

    issues: list[NoticeIssue]
    sendings: list[SendingDetail]  # type: ignore[assignment]  # narrower, for reading only


class NoticePage(BaseModel):
    """Notifications, the newest first."""

    alerts: list[Notice]
    next: str | None = None


class SentAgain(BaseModel):
    """By how many channels a notification goes out again."""

    channels: int


class NoticeQuery(Query):
    """Which notifications."""

    project_id: ProjectId | None = None
    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None


def one_of(names: Iterable[str]) -> GetPydanticSchema:
    """Return the type of a name, as ``Literal`` is for names that stand in the code."""
    return GetPydanticSchema(lambda *_: core_schema.literal_schema(list(names)))


@bp.errorhandler(AlertError)
def answer_alert_error(error: AlertError) -> ResponseReturnValue:
    """Answer 422 with the fields of a channel or a rule that are wrong."""
    fields = [{"field": field, "message": text} for field, text in error.errors.items()]
    return answer_field_errors(FieldErrors(fields))


@route("GET /api/alerts", access.reads)
def get_alerts(query: NoticeQuery) -> NoticePage:
    """Notifications, the newest first, with the channels they went out by."""
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
    """One notification, with its issues and every attempt.

    :raise 404: there is none with this id.
    """
    with current_store().read() as conn:
        detail = queries.find_detail(conn, notice_id) or abort(404, description=UNKNOWN)
    ways = [_detail(way) for way in detail.ways]
    issues = [NoticeIssue(**_fields(issue, NoticeIssue)) for issue in detail.issues]
    return NoticeDetail(**_fields(detail.notification, Notice), issues=issues, sendings=ways)


@route("POST /api/alerts/<int:notice_id>/send", access.writes)
def send_alert_again(notice_id: int, body: EmptyBody) -> SentAgain:
    """Send what was given up of a notification again; what was sent already is not.

    :raise 404: there is none with this id.
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


def _fields(row: Row[Any], model: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if name != "sendings"}
