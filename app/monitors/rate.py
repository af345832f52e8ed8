"""Runs that end beyond the rate: each counts, but not each has a row of its own.

A client could make up any number of runs a minute. Beyond a dozen in a minute, a run that ends is
counted with the last one of this minute that ended as it did. So nothing of what was answered with
200 is lost: not the failure of the thirteenth run, and not how many there were. The ids of such
runs are kept apart, so that a check-in that comes twice, or the begin of a run after its end,
changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from app.monitors.machine import Run
from app.monitors.tables import check_ins, runs_without_row
from app.store import replaced, upsert

MAX_RUNS_A_MINUTE = 12
# The latest rows among which that of the minute is: all that end in it, and those in progress.
LATEST = 250
# The ids that are kept of an environment: clients repeat a check-in within seconds or minutes.
MAX_REMEMBERED = 10_000
# A page says that runs were beyond the rate until none was for so long.
RECENTLY = timedelta(days=1)


def within_rate(
    conn: Connection, row: Row[Any], run: Run, at: datetime
) -> tuple[bool, dict[str, Any]]:
    """Return whether a run that ends has a row of its own, and what the state notes of the rate.

    Otherwise it is counted here, and its row removed if it had one.

    :param row: of ``monitor_states``, as it was before.
    """
    minute = int(at.timestamp()) // 60
    ended = row.in_minute if row.minute == minute else 0
    if ended < MAX_RUNS_A_MINUTE:
        return True, {"minute": minute, "in_minute": ended + 1}
    noted: dict[str, Any] = {"beyond_rate_at": at}
    if not is_recent(row.beyond_rate_at, at):
        noted["beyond_rate_since"] = at
    if not _is_counted(conn, row.id, run, datetime.fromtimestamp(minute * 60, UTC)):
        return True, noted
    return False, noted | _remember(conn, row, run, at)


def find_remembered(conn: Connection, row: Row[Any], check_in_id: str) -> Run | None:
    """Return a run beyond the rate that ended, ``None`` if no such run is remembered.

    :param row: of ``monitor_states``.
    """
    if not row.without_row:
        return None
    columns = runs_without_row.c
    named = columns.state_id == row.id, columns.check_in_id == check_in_id
    found = conn.execute(select(runs_without_row).where(*named)).first()
    return Run(found.status, found.at, check_in_id, finished_at=found.at) if found else None


def is_recent(beyond_rate_at: datetime | None, now: datetime) -> bool:
    """Return whether a run was beyond the rate lately."""
    return beyond_rate_at is not None and beyond_rate_at > now - RECENTLY


def _is_counted(conn: Connection, state_id: int, run: Run, since: datetime) -> bool:
    """Count a run with the last one that ended as it did. ``False`` if this minute has none."""
    columns = check_ins.c
    latest = select(columns.id, columns.status, columns.finished_at, columns.away)
    latest = latest.where(columns.state_id == state_id).order_by(columns.id.desc())
    some = latest.limit(LATEST).subquery().c
    alike = some.status == run.status, some.finished_at >= since, some.away.is_(False)
    newest = select(some.id).where(*alike).order_by(some.id.desc()).limit(1)
    found = conn.scalar(newest)
    if found is None:
        return False
    more = update(check_ins).where(columns.id == found).values(runs=columns.runs + 1)
    conn.execute(more)
    if run.id is not None:
        conn.execute(delete(check_ins).where(columns.id == run.id))
    return True


def _remember(conn: Connection, row: Row[Any], run: Run, at: datetime) -> dict[str, Any]:
    """Note the id of a run in the place of the oldest one. Return what the state notes of it."""
    if run.check_in_id is None:
        return {}
    values = {"state_id": row.id, "place": row.without_row % MAX_REMEMBERED, "at": at}
    values |= {"check_in_id": run.check_in_id, "status": run.status}
    statement = upsert(conn, runs_without_row, check_in_id=replaced, status=replaced, at=replaced)
    conn.execute(statement, values)
    return {"without_row": row.without_row + 1}
