"""Logs: the lines that programs send, newest first, and how many there were over time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import Response, stream_with_context
from pydantic import Field

from app.api.issues import RangeQuery
from app.api.requests import Limit, Query
from app.api.routes import Routes
from app.api.schemas import ApiModel, Next
from app.inputs import ProjectId
from app.insights.log_rates import ALL, Chosen, Step, log_rates, of_projects
from app.protocol.event import Level
from app.protocol.lenient import LEVELS
from app.signals.logs.filtering import LogFilter, Place, read_place, write_place
from app.signals.logs.line import Scalar
from app.signals.logs.transfer import written_lines
from app.store import utc_now
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


class LogSeriesQuery(RangeQuery):
    """Whose lines are counted, and in which range."""

    project_id: Annotated[ProjectId, Field(description="By default all projects.")] | None = None


class LogSeriesPoint(ApiModel):
    """The lines that were written in a step, by level."""

    at: datetime = Field(description="When the step begins; the first may begin before the range.")
    fatal: int
    error: int
    warning: int
    info: int
    debug: int


class LogSeries(ApiModel):
    """Lines over time, the oldest step first."""

    interval_s: int = Field(description="The length of a step: from a minute to a day.")
    points: list[LogSeriesPoint]


@route("GET /api/logs/series", access.reads)
def get_log_series(query: LogSeriesQuery) -> LogSeries:
    """Return how many lines projects wrote over time by level, by default in the last 24 hours.

    A step that the range cuts has only the lines of its part, in whole minutes; of days more than
    two days ago in whole hours. So a range of seconds has the lines of its minutes.
    Lines that were removed because there were too many are counted too.
    """
    range = query.range_of(utc_now(), "day")
    chosen = ALL if query.project_id is None else Chosen([of_projects([query.project_id])])
    with current_store().read() as conn:
        rates = log_rates(conn, range, chosen)
    return LogSeries(interval_s=rates.interval_s, points=list(map(_point, rates.steps)))


def _point(step: Step) -> LogSeriesPoint:
    return LogSeriesPoint(at=step.at, **{level: step.lines.get(level, 0) for level in LEVELS})
