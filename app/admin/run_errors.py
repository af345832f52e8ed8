"""The errors of a run of a monitor: those of its trace, and those that name the run or its monitor.

An SDK that sends check-ins within a trace links both by it. A program can set the context
``monitor`` with the ``slug`` of the monitor or the ``id`` of the check-in, which is surer.

Source: https://docs.sentry.io/platforms/python/crons/ (Connecting Errors to Cron Monitors),
2026-11-28.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from app.events.tables import events
from app.inputs import Range, period_range
from app.search.events import search_events
from app.search.grammar import parse
from app.search.state import Span, span_of
from app.store import utc_now

SHOWN = 3
# Clocks of clients differ, and an error may be sent right after the check-in.
BEFORE, AFTER = timedelta(minutes=1), timedelta(minutes=1)
# If a run only says that it failed, nobody knows when it began.
UNKNOWN = timedelta(minutes=15)
ENDED_BADLY = ("error", "timeout")


def failed_run(runs: list[Row[Any]]) -> Row[Any] | None:
    """Return the newest run that began and failed, ``None`` if there is none."""
    return next((run for run in runs if run.status in ENDED_BADLY and not run.away), None)


@dataclass(frozen=True)
class Way:
    """A way in which errors belong to a run.

    :param words: what they do or are, as a link says it.
    :param query: finds them, in a time.
    :param span: of the time, if it is known.
    """

    words: str
    query: str
    range: Range
    span: Span | None = None


@dataclass(frozen=True)
class RunErrors:
    """The newest errors of a run, and the ways in which some were found."""

    rows: list[Row[Any]]
    ways: list[Way]


def errors_of(
    conn: Connection, project_id: int, slug: str, run: Row[Any], longest: timedelta
) -> RunErrors:
    """Return the newest errors that name a run or its monitor, or else those of its trace.

    An SDK that traces nothing gives all that a process sends one trace. So the trace counts only
    during the run, and only if the program does not say better which errors are of the run.

    :param longest: after which the run was timed out.
    """
    during = time_of(run, longest)
    span = span_of(conn, during.start, during.end)
    by_slug = f"monitor.slug:{slug} !has:monitor.id"
    ways = [Way("that name the monitor at that time", by_slug, during, span)]
    if run.check_in_id:
        always = period_range("all", utc_now())
        ways.append(Way("that name this run", f"monitor.id:{run.check_in_id}", always))
    if (found := _found(conn, project_id, ways)).rows or not run.trace_id:
        return found
    by_trace = f"trace:{run.trace_id} !has:monitor.slug !has:monitor.id"
    return _found(conn, project_id, [Way("of its trace at that time", by_trace, during, span)])


def _found(conn: Connection, project_id: int, ways: list[Way]) -> RunErrors:
    ids: list[int] = []
    used = []
    for way in ways:
        terms = parse(way.query).of_event
        matches = search_events(
            conn, terms, way.range, limit=SHOWN, project_id=project_id, span=way.span
        )
        ids += matches.ids
        used += [way] if matches.ids else []
    columns = events.c
    query = select(columns.event_id, columns.title, columns.level, columns.timestamp)
    newest = query.where(columns.id.in_(ids)).order_by(columns.id.desc())
    return RunErrors(list(conn.execute(newest.limit(SHOWN))) if ids else [], used)


def time_of(run: Row[Any], longest: timedelta) -> Range:
    """Return the time in which errors that do not name a run itself may be those of this one."""
    ended = run.finished_at or run.at + longest
    began = run.at if run.duration_ms is not None or run.status == "timeout" else run.at - UNKNOWN
    return Range("", began - BEFORE, ended + AFTER, utc_now())
