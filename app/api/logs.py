"""Logs: the lines that programs send, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import Response, stream_with_context
from pydantic import Field

from app.api.requests import Limit, Query
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.protocol.event import Level
from app.signals.logs.filtering import LogFilter, Place, read_place, write_place
from app.signals.logs.line import Scalar
from app.signals.logs.transfer import written_lines
from app.web import access
from app.web.current import current_store

route = Routes("logs")


class LogLine(ApiModel):
    """A line of a log."""

    timestamp: datetime
    level: Level
    body: str
    attributes: dict[str, Scalar]
    trace_id: str | None
    span_id: str | None
    project_id: int
    release: str | None
    environment: str | None
    cut: str | None = Field(description="What was cut, left out or replaced, in words.")


class LogPage(ApiModel):
    """A page of lines, newest first."""

    logs: list[LogLine]
    next: Next
    searched_back_to: datetime | None = Field(
        description="Where a search stopped, which has a budget for each page; null if it looked at"
        " everything. `next` goes on from there."
    )


class LogQuery(LogFilter, Query):
    """The lines to list."""

    limit: Limit = 50
    cursor: Annotated[Place | None, Field(description="`next` of the page before.")] = None


class LogExport(LogFilter, Query):
    """The lines to export."""


@route("GET /api/logs", access.reads)
def get_logs(query: LogQuery) -> LogPage:
    """List lines of logs, newest first.

    A page has fewer lines than asked for if they take more than 4 MB; `next` goes on.
    """
    before = None if query.cursor is None else read_place(query.cursor)
    with current_store().read() as conn:
        page = query.page(conn, before=before, limit=query.limit)
    return LogPage(
        logs=[LogLine.of(line, timestamp=line.at) for line in page.lines],
        next=write_place(page.next),
        searched_back_to=page.searched_back_to,
    )


@route("GET /api/logs/export", access.reads, media=access.NDJSON)
def export_logs(query: LogExport) -> Response:
    """Return lines of logs as NDJSON, newest first.

    Each line is an object as in the list. At most 100,000 lines are returned.
    """
    parts = written_lines(current_store(), query)
    response = Response(stream_with_context(parts), content_type=access.NDJSON)
    response.headers["Content-Disposition"] = 'attachment; filename="logs.ndjson"'
    return response
