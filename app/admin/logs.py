"""The list of log lines: newest first, found by a query and a range."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Response, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.event_view import EventView
from app.admin.filter_bar import ListChoice, read_choice
from app.admin.header import header_from
from app.admin.query_line import QueryLine, read_line, without_old
from app.admin.query_menu import groups_of, query_menu
from app.admin.range_bar import range_bar, with_period
from app.search.errors import QueryError
from app.search.grammar import Query, parse, with_term
from app.signals.logs.document import text_of
from app.signals.logs.filtering import LogFilter, lines_around, read_place, write_place
from app.signals.logs.line import Line
from app.signals.logs.recent import recent_facts
from app.signals.logs.searching import Lines
from app.signals.logs.transfer import written_lines
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 100
DEFAULT_PERIOD = "day"
# Of a value in the table of attributes; a click on it searches for the whole value.
MAX_SHOWN = 500
MAX_QUERY_VALUE = 200
# How many lines the page of an event shows; links lead to the others.
SHOWN_BESIDE = 20


class Attribute(NamedTuple):
    """An attribute as its line shows it.

    :param address: of the lines that have the same value; empty if it is too long.
    """

    name: str
    text: str
    address: str


@bp.get("/logs")
@access.views
def list_of_logs() -> ResponseReturnValue:
    """Show a page of lines."""
    choice, line = _read()
    before = read_place(request.args.get("before", ""))
    found = Lines([])
    with current_store().read() as conn:
        header, recent = header_from(conn), recent_facts(conn)
        if line.error is None:
            try:
                found = choice.form.page(conn, before=before, limit=PAGE_SIZE)
            except QueryError as error:
                line = replace(line, error=error)
    names, now = header.projects, utc_now()
    return render_template(
        "logs.html",
        header=lambda: header,
        lines=found.lines,
        choice=choice,
        line=line,
        path=request.path,
        menu=query_menu(request.path, choice.values, groups_of(recent, names)),
        projects=names if len(names) > 1 else {},
        range_bar=range_bar(request.path, choice.values, choice.form.range_of(now)),
        any_lines=recent["any"],
        is_first=before is None,
        older=_older(choice, found),
        searched_back_to=found.searched_back_to,
        attributes_of=lambda shown: attributes_of(shown, choice.values),
    )


@bp.get("/logs.ndjson")
@access.views
def export_logs() -> ResponseReturnValue:
    """Return the lines of the list as NDJSON, newest first.

    :raise 422: the query is wrong.
    """
    choice, line = _read()
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

    lines: list[Line]
    are_of_trace: bool
    of_trace: dict[str, str]
    of_minute: dict[str, str]

    def attributes_of(self, line: Line) -> list[Attribute]:
        """Return the attributes of a line."""
        return attributes_of(line, {"period": "all"})


def logs_beside(conn: Connection, view: EventView) -> LogsBeside:
    """Return the newest lines of the trace of an event; without any, those of the minute before."""
    row = view.stored.row
    lines = lines_around(conn, row.project_id, view.trace_id, row.timestamp, SHOWN_BESIDE)
    start, end = row.timestamp - timedelta(minutes=1), row.timestamp + timedelta(seconds=1)
    minute = {"project": str(row.project_id), "start": start.isoformat(), "end": end.isoformat()}
    trace = {"query": f"trace:{view.trace_id}", "period": "all"} if view.trace_id else {}
    are_of_trace = bool(lines) and lines[0].trace_id == view.trace_id is not None
    return LogsBeside(lines, are_of_trace, trace, minute)


def attributes_of(line: Line, values: dict[str, str]) -> list[Attribute]:
    """Return the attributes of a line, with links to the lines that have the same values.

    :param values: the parameters of the list's address.
    """
    query = parse(values.get("query", ""))
    return [
        Attribute(name, text[:MAX_SHOWN], _address(values, query, name, text))
        for name, text in ((name, text_of(value)) for name, value in line.attributes.items())
    ]


def _address(values: dict[str, str], query: Query, name: str, text: str) -> str:
    if not text or len(name) + len(text) > MAX_QUERY_VALUE:
        return ""
    added = str(with_term(query, f"tags[{name}]", text))
    return f"{url_for('admin.list_of_logs')}?{urlencode(values | {'query': added})}"


def _read() -> tuple[ListChoice[LogFilter], QueryLine]:
    given = with_period(request.args, DEFAULT_PERIOD)
    given.pop("assigned", None)  # Lines are not assigned.
    line = read_line(given)
    return read_choice(LogFilter, without_old(given, line)), line


def _older(choice: ListChoice[LogFilter], found: Lines) -> str | None:
    place = write_place(found.next)
    return (
        place and f"{url_for('admin.list_of_logs')}?{urlencode(choice.values | {'before': place})}"
    )
