"""The lines of one trace: how many each span has, and those of a span.

Both read the newest MAX_READ lines of the trace, so a trace with a million lines costs no more.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from app.signals.logs.line import Line
from app.signals.logs.rows import line_of
from app.signals.logs.tables import log_lines

# About 20 ms of CPU.
MAX_READ = 10_000


def count_by_span(conn: Connection, trace_id: str) -> dict[str | None, int]:
    """Return how many lines each span of a trace has; those without a span under ``None``."""
    newest = _newest(trace_id)
    query = select(newest.c.span_id, func.count()).group_by(newest.c.span_id)
    return {span_id: count for span_id, count in conn.execute(query)}


def lines_of_span(conn: Connection, trace_id: str, span_id: str, limit: int) -> list[Line]:
    """Return the newest lines of a span, newest first."""
    newest = _newest(trace_id)
    ids = select(newest.c.id).where(newest.c.span_id == span_id)
    query = select(log_lines).where(log_lines.c.id.in_(ids))
    newest_first = log_lines.c.at.desc(), log_lines.c.id.desc()
    return [line_of(row) for row in conn.execute(query.order_by(*newest_first).limit(limit))]


def _newest(trace_id: str) -> Any:
    of = log_lines.c
    key = of.trace_id.desc(), of.at.desc(), of.id.desc()
    query = select(of.id, of.span_id).where(of.trace_id == trace_id).order_by(*key)
    return query.limit(MAX_READ).subquery()
