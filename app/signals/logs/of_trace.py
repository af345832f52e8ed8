"""The lines of one trace: how many each span has, those of a span, and whether there are any.

Counts and lists read the newest MAX_READ lines of the trace, so a million lines cost no more.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from app.protocol.lenient import parse_event_id
from app.signals.logs.line import Line
from app.signals.logs.rows import line_of
from app.signals.logs.tables import log_lines
from app.traces.reading import Projects, Trace, read_trace

# About 20 ms of CPU.
MAX_READ = 10_000


def read_trace_or_lines(conn: Connection, trace_id: str, allowed: Projects = None) -> Trace | None:
    """Return a trace; without spans and events if only lines are stored of it.

    :return: ``None`` if nothing is stored of it. :param allowed: only what is of these projects.
    """
    parsed = parse_event_id(trace_id)
    found = read_trace(conn, trace_id, allowed)
    return found or (Trace(parsed) if parsed and _has_lines(conn, parsed, allowed) else None)


def count_by_span(conn: Connection, trace_id: str) -> dict[str | None, int]:
    """Return how many lines each span of a trace has; those without a span under ``None``."""
    newest = _newest(trace_id)
    query = select(newest.c.span_id, func.count()).group_by(newest.c.span_id)
    return {span_id: count for span_id, count in conn.execute(query)}


def newest_lines(conn: Connection, trace_id: str, span_id: str | None, limit: int) -> list[Line]:
    """Return the newest lines of a span, newest first; without one, those of the trace."""
    newest = _newest(trace_id)
    ids = select(newest.c.id)
    if span_id is not None:
        ids = ids.where(newest.c.span_id == span_id)
    query = select(log_lines).where(log_lines.c.id.in_(ids))
    newest_first = log_lines.c.at.desc(), log_lines.c.id.desc()
    return [line_of(row) for row in conn.execute(query.order_by(*newest_first).limit(limit))]


def _has_lines(conn: Connection, trace_id: str, allowed: Projects) -> bool:
    of = log_lines.c
    query = select(of.id).where(of.trace_id == trace_id).limit(1)
    if allowed is not None:
        query = query.where(of.project_id.in_(allowed))
    return conn.execute(query).first() is not None


def _newest(trace_id: str) -> Any:
    of = log_lines.c
    key = of.trace_id.desc(), of.at.desc(), of.id.desc()
    query = select(of.id, of.span_id).where(of.trace_id == trace_id).order_by(*key)
    return query.limit(MAX_READ).subquery()
