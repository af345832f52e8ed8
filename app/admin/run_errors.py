"""The errors of a run of a monitor: those of its trace, and those that name the run or its monitor.

An SDK that sends check-ins within a trace links both by it. Other programs set the context
``monitor`` with the ``slug`` of the monitor or the ``id`` of the check-in.

Source: https://docs.sentry.io/platforms/python/crons/ (Connecting Errors to Cron Monitors),
2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from app.events.tables import events
from app.inputs import Range, period_range
from app.search.document import tag_key
from app.search.events import search_events
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


def errors_of(
    conn: Connection, project_id: int, slug: str, run: Row[Any], longest: timedelta
) -> list[Row[Any]]:
    """Return the newest errors of a run.

    :param longest: after which the run was timed out.
    """
    slug_key = tag_key("monitor.slug")
    named = {"trace": run.trace_id, tag_key("monitor.id"): run.check_in_id}
    its_own = {key: value for key, value in named.items() if value}
    everything = period_range("all", utc_now())
    ids = _found(conn, project_id, its_own, everything) if its_own else []
    ids += _found(conn, project_id, {slug_key: slug}, time_of(run, longest))
    columns = events.c
    query = select(columns.event_id, columns.title, columns.level, columns.timestamp)
    newest = query.where(columns.id.in_(ids)).order_by(columns.id.desc())
    return list(conn.execute(newest.limit(SHOWN))) if ids else []


def time_of(run: Row[Any], longest: timedelta) -> Range:
    """Return the time in which errors that name only the monitor are those of a run."""
    ended = run.finished_at or run.at + longest
    began = run.at if run.duration_ms is not None or run.status == "timeout" else run.at - UNKNOWN
    return Range("", began - BEFORE, ended + AFTER, utc_now())


def _found(conn: Connection, project_id: int, any_of: Mapping[str, str], range: Range) -> list[int]:
    found = search_events(conn, (), range, limit=SHOWN, project_id=project_id, any_of=any_of)
    return found.ids
