"""The filter of a list of lines, for the API and the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator
from sqlalchemy import Connection

from app.inputs import Control, ProjectId, RangeFilter
from app.protocol.event import Level, clean_text
from app.search.clauses import exact
from app.search.grammar import Query, parse
from app.search.issue_search import QueryText, check_query
from app.signals.logs.blocks import KEY
from app.signals.logs.line import Key, Line
from app.signals.logs.scanning import lines_with
from app.signals.logs.searching import Bounds, Lines, list_lines, search_lines
from app.signals.logs.tables import log_lines
from app.signals.logs.terms import conditions_of
from app.store import utc_now

_PLACE = re.compile(r"(\d{1,16})-(\d{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_place(key: Key | None) -> str | None:
    """Return a key as a cursor: microseconds since 1970, and the row id."""
    if key is None:
        return None
    return f"{(key[0] - _EPOCH) // timedelta(microseconds=1)}-{key[1]}"


def read_place(text: str) -> Key | None:
    """Return the key of a cursor; ``None`` if it is none."""
    found = _PLACE.fullmatch(text) if text.isascii() else None
    try:
        return found and (_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))
    except OverflowError:
        return None


def _check_place(text: str) -> str:
    if read_place(text) is None:
        raise ValueError("`next` of the page before is expected")
    return text


Place = Annotated[
    str,
    Field(max_length=40),
    AfterValidator(_check_place),
    Field(description="`next` of the page before."),
]
Trace = Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{32,36}$", description="The id of a trace.")]


class LogFilter(RangeFilter):
    """The filter of a list of lines, with a query and a range of time."""

    query: Annotated[QueryText | None, Control("Query")] = None
    project_id: Annotated[ProjectId | None, Control("Project", "project")] = None
    level: Annotated[Level | None, Control("Level")] = None
    release: Annotated[str | None, Field(max_length=250)] = None
    environment: Annotated[str | None, Field(max_length=200)] = None
    trace: Annotated[Trace | None, Control("Trace", max_length=36)] = None

    _is_query = field_validator("query")(check_query)

    @property
    def parsed(self) -> Query:
        """The query."""
        return parse(self.query or "")

    def page(self, conn: Connection, *, before: Key | None = None, limit: int = 50) -> Lines:
        """Return a page of lines, newest first.

        :raise QueryError: a term finds issues, or cannot be searched for.
        """
        given, asked = self._given(), conditions_of(conn, self.parsed, self.project_id)
        chosen = self.range_of(utc_now())
        end = None if chosen.end is None else (chosen.end, 0)
        first = min(filter(None, (before, end)), default=None)
        bounds = Bounds(first, chosen.start, given)
        if asked or len(given) > 1 or given.keys() - {"project_id", "trace_id"}:
            of_columns = (exact(_KEYS[name], str(value)) for name, value in given.items())
            asked = asked._replace(clauses=(*of_columns, *asked.clauses))
            return search_lines(conn, asked, bounds, limit)
        along = [log_lines.c[name] for name in given]
        return list_lines(conn, bounds, limit, (*along, *KEY))

    def _given(self) -> dict[str, Any]:
        trace = self.trace and self.trace.replace("-", "").lower()
        values = {
            "project_id": self.project_id,
            "level": self.level,
            "release": self.release and clean_text(self.release),
            "environment": self.environment and clean_text(self.environment),
            "trace_id": trace,
        }
        return {name: value for name, value in values.items() if value is not None}


_KEYS = {"trace_id": "trace", "project_id": "project"} | {
    name: name for name in ("level", "release", "environment")
}


def find_line(conn: Connection, key: Key) -> Line | None:
    """Return the line of a key; ``None`` without one."""
    found = lines_with(conn, [key[1]])
    return next((line for line in found if line.key == key), None)


def lines_around(
    conn: Connection, project_id: int, trace_id: str | None, at: datetime, limit: int
) -> list[Line]:
    """Return the newest lines of a trace up to a moment; without any, those of the minute before.

    :param project_id: lines of the minute before are of this project.
    """
    end = at + timedelta(seconds=1), 0
    if trace_id is not None:
        of_trace = Bounds(end, None, {"trace_id": trace_id})
        if found := list_lines(conn, of_trace, limit, (log_lines.c.trace_id, *KEY)).lines:
            return found
    of_project = Bounds(end, at - timedelta(minutes=1), {"project_id": project_id})
    return list_lines(conn, of_project, limit, (log_lines.c.project_id, *KEY)).lines
