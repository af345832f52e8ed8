"""Apply check-ins in the order of their receipt. A monitor appears with its first check-in.

Everything that a client can make more of has a bound. What exceeds one is left out and counted by
project, so that the page of monitors says it. Runs that exceed the rate are not (:mod:`rate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, update

from app.monitors.check_in import Sent
from app.monitors.machine import Outage, advance, check_in, expect_from, wait
from app.monitors.rate import MAX_RUNS_A_MINUTE, within_rate
from app.monitors.settings import DEFAULTS, expectation_of
from app.monitors.states import find_run, read_state, write_state
from app.monitors.tables import monitor_losses, monitor_states, monitors
from app.monitors.watch import look
from app.projects import closed_projects
from app.protocol.slug import MAX_SLUG, TOO_LONG
from app.store import added, replaced, upsert
from app.store import insert as insert_or_not

# The bounds, for a project, for a monitor, and for a monitor in an environment.
MAX_MONITORS = 500
MAX_ENVIRONMENTS = 20
MAX_OPEN_RUNS = 100
# How a run ends if it says so itself.
ENDED = ("ok", "error")
# Why check-ins were left out, in words.
REASONS = {
    "monitors": f"a project has at most {MAX_MONITORS} monitors",
    "environments": f"a monitor has at most {MAX_ENVIRONMENTS} environments",
    # Until 2026-11 runs beyond the rate were left out; what is counted of them stays for a while.
    "rate": f"a monitor had at most {MAX_RUNS_A_MINUTE} runs a minute",
    "open": f"a monitor has at most {MAX_OPEN_RUNS} runs in progress; of others the end counts",
    "slug": TOO_LONG,
    "malformed": "they had no slug, or no status that is known",
}


class _Batch(NamedTuple):
    """What holds for all check-ins that are applied together.

    :param closed: projects that were archived or deleted since the check-ins came.
    :param full: the slugs of projects that have as many monitors as they may.
    """

    outages: Sequence[Outage]
    closed: set[int]
    full: dict[int, set[str]]


def record(conn: Connection, found: Sequence[Sent], now: datetime) -> None:
    """Apply check-ins, the oldest first."""
    closed = closed_projects(conn, {sent.project_id for sent in found})
    batch = _Batch(look(conn, now), closed, {})
    losses: dict[tuple[int, str], list[Sent]] = {}
    for sent in found:
        reason = _record(conn, sent, batch)
        if reason is not None:
            losses.setdefault((sent.project_id, reason), []).append(sent)
    _leave_out(conn, losses)


def _record(conn: Connection, sent: Sent, batch: _Batch) -> str | None:
    """Apply a check-in. Return the reason if it was left out."""
    if not sent.slug or sent.check_in is None:
        return "malformed"
    if len(sent.slug) > MAX_SLUG:
        return "slug"
    # A client that makes up slugs costs a lookup in memory for each.
    if sent.slug not in batch.full.get(sent.project_id, (sent.slug,)):
        return "monitors"
    monitor = _monitor(conn, sent)
    if monitor is None:
        batch.full[sent.project_id] = _slugs(conn, sent.project_id)
        return "monitors"
    row = _state(conn, monitor.id, sent.environment)
    if row is None:
        return "environments"
    return _apply(conn, monitor, row, sent, batch)


def _apply(
    conn: Connection, monitor: Row[Any], row: Row[Any], sent: Sent, batch: _Batch
) -> str | None:
    given, at = sent.check_in, sent.received_at
    assert given is not None  # noqa: S101 -- see _record()
    wanted, state = expectation_of(monitor), read_state(conn, row)
    if monitor.project_id in batch.closed:
        wanted = replace(wanted, is_paused=True)  # The run is recorded; its monitor waits.
    changed = advance(state, wanted, at, batch.outages)
    known = find_run(conn, row, state, given.check_in_id)
    run = check_in(state, wanted, given, at, known)
    reason, noted = None, dict[str, Any]()
    is_new = run is not None and run.id is None and run.status == "in_progress"
    if run is not None and is_new and len(state.open) > MAX_OPEN_RUNS:
        # It was expected, and its end will count. Only that it takes too long is not noticed.
        state.open.remove(run)
        run, reason = None, "open"
    elif run is not None and run.status in ENDED:
        has_row, noted = within_rate(conn, row, run, at)
        run = run if has_row else None
    write_state(conn, row.id, state, wanted, [*changed, run] if run else changed, **noted)
    return reason


def _monitor(conn: Connection, sent: Sent) -> Row[Any] | None:
    """Return the monitor of a check-in, made or changed by it; ``None`` if there are too many."""
    columns = monitors.c
    named = columns.project_id == sent.project_id, columns.slug == sent.slug
    row = conn.execute(select(monitors).where(*named)).first()
    values, error = sent.config or ({}, None)
    if row is None:
        count = select(func.count()).where(columns.project_id == sent.project_id)
        if (conn.scalar(count) or 0) >= MAX_MONITORS:
            return None
        return _add(conn, sent, dict(DEFAULTS) | values, error)
    if sent.config is None or row.managed_by != "sdk":
        return row
    values = values | {"config_error": error}
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    return change_expectation(conn, row, values, sent.received_at)


def _add(conn: Connection, sent: Sent, values: dict[str, Any], error: str | None) -> Row[Any]:
    values |= {
        "project_id": sent.project_id,
        "slug": sent.slug,
        "name": "",
        "managed_by": "sdk",
        "config_error": error,
        "created_at": sent.received_at,
    }
    return conn.execute(insert(monitors).values(values).returning(monitors)).one()


def change_expectation(
    conn: Connection, monitor: Row[Any], values: dict[str, Any], now: datetime
) -> Row[Any]:
    """Change columns of a monitor and return the row. Its environments expect the next run anew.

    What was missed under the old schedule until now is noted first by the caller, if at all.
    """
    statement = update(monitors).where(monitors.c.id == monitor.id).values(values)
    row = conn.execute(statement.returning(monitors)).one()
    before, after = expectation_of(monitor), expectation_of(row)
    if before == after:
        return row
    of_it = select(monitor_states).where(monitor_states.c.monitor_id == monitor.id)
    for state_row in conn.execute(of_it.order_by(monitor_states.c.id)).all():
        state = read_state(conn, state_row)
        if before.is_paused != after.is_paused:
            wait(state, now)
        if (before.schedule, before.is_paused) != (after.schedule, after.is_paused):
            expect_from(state, after, now)
        write_state(conn, state_row.id, state, after, ())
    return row


def _state(conn: Connection, monitor_id: int, environment: str) -> Row[Any] | None:
    columns = monitor_states.c
    query = select(monitor_states).where(columns.monitor_id == monitor_id)
    found = query.where(columns.environment == environment)
    if row := conn.execute(found).first():
        return row
    count = select(func.count()).where(columns.monitor_id == monitor_id)
    if (conn.scalar(count) or 0) >= MAX_ENVIRONMENTS:
        return None
    values = {"monitor_id": monitor_id, "environment": environment, "status": "waiting"}
    values |= {"failures": 0, "successes": 0}
    conn.execute(insert_or_not(conn, monitor_states).values(values).on_conflict_do_nothing())
    return conn.execute(found).one()


def _slugs(conn: Connection, project_id: int) -> set[str]:
    """Return the slugs of a project that has as many monitors as it may."""
    return set(conn.scalars(select(monitors.c.slug).where(monitors.c.project_id == project_id)))


def _leave_out(conn: Connection, losses: Mapping[tuple[int, str], Sequence[Sent]]) -> None:
    """Count check-ins that were left out, by project and reason."""
    rows = [
        {
            "project_id": project_id,
            "reason": reason,
            "count": len(sent),
            "last_at": sent[-1].received_at,
        }
        for (project_id, reason), sent in sorted(losses.items())
    ]
    if rows:
        conn.execute(upsert(conn, monitor_losses, count=added, last_at=replaced), rows)


def left_out(conn: Connection, project_ids: Iterable[int]) -> list[Row[Any]]:
    """Return how many check-ins of projects were left out, by reason."""
    columns = monitor_losses.c
    query = select(monitor_losses).where(columns.project_id.in_(list(project_ids)))
    return list(conn.execute(query.order_by(columns.project_id, columns.reason)))
