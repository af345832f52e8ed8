"""Notices: what alerts said, and how it went out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from sqlalchemy import Row

from app import access
from app.alerts import notices
from app.api import bp
from app.api.events import Limit, RowNumber
from app.api.openapi import Operation, answer, describe
from app.api.requests import Query, read_query
from app.services import services

ProjectId = Annotated[int, Field(ge=1, lt=2**31)]


class NoticeAttempt(BaseModel):
    """One try; `status` of HTTP or SMTP, null without an answer."""

    at: datetime
    ms: float
    status: int | None
    error: str | None
    state: str
    next_at: datetime | None


class NoticeSending(BaseModel):
    """A notice's way out by one channel; `state` as a delivery's."""

    channel_id: int | None
    channel_kind: str
    channel_name: str
    state: str
    reason: str | None
    attempts: int
    next_at: datetime | None
    settled_at: datetime | None


class SendingDetail(NoticeSending):
    """A notice's way out by one channel, with its newest attempts, the newest first."""

    tries: list[NoticeAttempt]


class Notice(BaseModel):
    """A notice; `kind` is that of its rule, or `test`."""

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
    sendings: list[NoticeSending]


class NoticeDetail(Notice):
    """A notice with every attempt."""

    sendings: list[SendingDetail]  # type: ignore[assignment]  # narrower, for reading only


class NoticePage(BaseModel):
    """Notices, the newest first."""

    alerts: list[Notice]
    next: str | None = None


class NoticeQuery(Query):
    """Which notices."""

    project_id: ProjectId | None = None
    limit: Limit = 50
    cursor: Annotated[RowNumber, Field(description="`next` of the page before.")] | None = None


@bp.get("/api/alerts")
@access.reads
@describe(
    Operation(
        "Notices, the newest first, with the channels they went out by",
        {200: NoticePage},
        query=NoticeQuery,
        problems=(422, 503),
        tag="alerts",
    )
)
def get_alerts() -> ResponseReturnValue:
    """Return a page of notices."""
    query = read_query(NoticeQuery)
    with services().store.read() as conn:
        rows = notices.list_notices(
            conn, project_id=query.project_id, before=query.cursor, limit=query.limit + 1
        )
        page = rows[: query.limit]
        sendings = notices.sendings_of(conn, [row.id for row in page])
    found = [
        Notice(**_fields(row, Notice), sendings=[_sending(one) for one in sendings.get(row.id, [])])
        for row in page
    ]
    return answer(
        NoticePage(alerts=found, next=str(page[-1].id) if len(rows) > query.limit else None)
    )


@bp.get("/api/alerts/<int:notice_id>")
@access.reads
@describe(
    Operation(
        "One notice, with every attempt", {200: NoticeDetail}, problems=(404, 503), tag="alerts"
    )
)
def get_alert(notice_id: int) -> ResponseReturnValue:
    """Return one notice.

    :raise 404: there is none with this id.
    """
    with services().store.read() as conn:
        row = notices.find_notice(conn, notice_id)
        if row is None:
            abort(404, description="no notice has this id")
        sendings = notices.sendings_of(conn, [notice_id]).get(notice_id, [])
        tries = notices.attempts_of(conn, [one.id for one in sendings])
    ways = [_detail(one, tries.get(one.id, [])) for one in sendings]
    return answer(NoticeDetail(**_fields(row, Notice), sendings=ways))


def _detail(row: Row[Any], tries: list[Row[Any]]) -> SendingDetail:
    found = [NoticeAttempt(**_fields(one, NoticeAttempt)) for one in tries]
    return SendingDetail(**_fields(row, NoticeSending), tries=found)


def _sending(row: Row[Any]) -> NoticeSending:
    return NoticeSending(**_fields(row, NoticeSending))


def _fields(row: Row[Any], model: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if name != "sendings"}
