"""The list of log lines: newest first, found by a query and a range."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Response, abort, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.event_view import EventView
from app.admin.filter_bar import ListChoice
from app.admin.found_list import list_bar, read_list
from app.admin.header import header_from
from app.admin.log_chart import LogChart, chosen_lines, log_chart
from app.admin.log_lines import ShownLine, shown_lines, whole_line
from app.admin.lookups import project_names
from app.insights.log_rates import log_rates
from app.search.errors import QueryError
from app.signals.logs.filtering import LogFilter, find_line, lines_around, read_place, write_place
from app.signals.logs.recent import recent_facts
from app.signals.logs.searching import Lines
from app.signals.logs.transfer import written_lines
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 100
LIVE_EVERY_S = 5
# How many lines the page of an event shows; links lead to the others.
SHOWN_BESIDE, BYTES_BESIDE = 20, 90_000
# The link of each bar of a chart repeats the query, which may have thousands of characters in an
# address. A list with a longer address has no chart.
MAX_KEPT = 500


@bp.get("/logs")
@access.views
def list_of_logs() -> ResponseReturnValue:
    """Show a page of lines."""
    choice, line = read_list(LogFilter)
    before = read_place(request.args.get("before", ""))
    found, chart = Lines([]), None
    is_live = request.args.get("live") == "on" and before is None
    with current_store().read() as conn:
        header, recent = header_from(conn), recent_facts(conn)
        if line.error is None:
            try:
                found = choice.form.page(conn, before=before, limit=PAGE_SIZE)
                # A live list would leave the chart behind.
                chart = None if is_live else _chart(conn, choice)
            except QueryError as error:
                line = replace(line, error=error)
    return render_template(
        "logs.html",
        header=lambda: header,
        lines=shown_lines(found.lines, choice.values),
        any_rows=recent["any"],
        is_first=before is None,
        live_every=LIVE_EVERY_S if is_live else None,
        chart=chart,
        older=_older(choice, found),
        searched_back_to=found.searched_back_to,
        **list_bar("logs", choice, line, recent, header.projects),
    )


@bp.get("/live/logs")
@access.views
def live_logs() -> ResponseReturnValue:
    """Show the newest lines of a list, without the rest of its page."""
    choice, line = read_list(LogFilter)
    found = Lines([])
    with current_store().read() as conn:
        names = project_names(conn)
        if line.error is None:
            with suppress(QueryError):  # The page has said what is wrong.
                found = choice.form.page(conn, limit=PAGE_SIZE)
    return render_template(
        "_live_lines.html",
        lines=shown_lines(found.lines, choice.values),
        choice=choice,
        projects=names if len(names) > 1 else {},
        live_every=LIVE_EVERY_S,
    )


@bp.get("/logs/<place>")
@access.views
def show_log_line(place: str) -> ResponseReturnValue:
    """Show all that is stored of one line.

    :raise 404: there is no such line.
    """
    key = read_place(place)
    with current_store().read() as conn:
        header = header_from(conn)
        line = None if key is None else find_line(conn, key)
    if line is None:
        abort(404)
    return render_template(
        "log_line.html",
        header=lambda: header,
        shown=whole_line(line),
        projects=header.projects,
        around=_minute_before(line.project_id, line.at),
    )


@bp.get("/logs.ndjson")
@access.views
def export_logs() -> ResponseReturnValue:
    """Return the lines of the list as NDJSON, newest first.

    :raise 422: the query is wrong.
    """
    choice, line = read_list(LogFilter)
    if line.error is not None:
        raise line.error
    parts = written_lines(current_store(), choice.form)
    response = Response(stream_with_context(parts), content_type=access.NDJSON)
    response.headers["Content-Disposition"] = 'attachment; filename="logs.ndjson"'
    return response


class LogsBeside(NamedTuple):
    """The lines beside an event.

    :param are_of_trace: whether they are of the trace of the event, and not of the minute before.
    :param of_trace: the parameters of the list of all lines of its trace; empty without a trace.
    :param of_minute: the parameters of the list of the minute before.
    """

    lines: list[ShownLine]
    are_of_trace: bool
    of_trace: dict[str, str]
    of_minute: dict[str, str]


def logs_beside(conn: Connection, view: EventView) -> LogsBeside:
    """Return the newest lines of the trace of an event; without any, those of the minute before."""
    row = view.stored.row
    lines = lines_around(conn, row.project_id, view.trace_id, row.timestamp, SHOWN_BESIDE)
    minute = _minute_before(row.project_id, row.timestamp)
    trace = {"query": f"trace:{view.trace_id}", "period": "all"} if view.trace_id else {}
    are_of_trace = bool(lines) and lines[0].trace_id == view.trace_id is not None
    shown = shown_lines(lines, {"period": "all"}, BYTES_BESIDE)
    return LogsBeside(shown, are_of_trace, trace, minute)


def _minute_before(project_id: int, at: datetime) -> dict[str, str]:
    """Return the parameters of the list of the minute before a moment."""
    start, end = at - timedelta(minutes=1), at + timedelta(seconds=1)
    return {"project": str(project_id), "start": start.isoformat(), "end": end.isoformat()}


def _chart(conn: Connection, choice: ListChoice[LogFilter]) -> LogChart | None:
    """Return the chart of the lines of a list; ``None`` if they are not counted, or none."""
    lines, kept = chosen_lines(conn, choice.form), choice.but(period="")
    if lines is None or len(urlencode(kept)) > MAX_KEPT:
        return None

    def address(start: datetime, end: datetime) -> str:
        times = {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}
        return f"{url_for('admin.list_of_logs')}?{urlencode(kept | times)}"

    rates = log_rates(conn, choice.form.range_of(utc_now()), lines)
    return log_chart(rates, address)


def _older(choice: ListChoice[LogFilter], found: Lines) -> str | None:
    place = write_place(found.next)
    return (
        place and f"{url_for('admin.list_of_logs')}?{urlencode(choice.values | {'before': place})}"
    )
