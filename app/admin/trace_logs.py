"""The logs of a trace: how many lines each span has, and the newest of what a page shows."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from app.admin.log_lines import ShownLine, shown_lines
from app.signals.logs.line import Line
from app.signals.logs.of_trace import MAX_READ, count_by_span, newest_lines
from app.traces.reading import Trace

# Of one page: lines, and bytes of their HTML.
SHOWN, MAX_BYTES = 50, 200_000


class LogsOfTrace(NamedTuple):
    """The logs of a trace.

    :param by_span: how many lines each span has.
    :param lines: of the span that the page shows, newest first; of a trace without spans, its own.
    """

    by_span: dict[str | None, int]
    lines: list[ShownLine]

    @property
    def total(self) -> int:
        """How many lines the trace has; at least this many if it is cut."""
        return sum(self.by_span.values())

    @property
    def is_cut(self) -> bool:
        """Whether only the newest lines were counted."""
        return self.total >= MAX_READ


def logs_of(conn: Connection, trace: Trace, span_id: str | None) -> LogsOfTrace:
    """Return the logs of a trace, with the lines of a span if one is given."""
    by_span = count_by_span(conn, trace.trace_id)
    lines: list[Line] = []
    has_lines = span_id in by_span if span_id is not None else not trace.spans
    if has_lines:
        lines = newest_lines(conn, trace.trace_id, span_id, SHOWN)
    return LogsOfTrace(by_span, shown_lines(lines, {"period": "all"}, MAX_BYTES))
