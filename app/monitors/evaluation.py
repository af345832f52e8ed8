"""Find runs that were missed or that take too long, as time passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from app.monitors.machine import Outage, advance, begin_anew
from app.monitors.settings import expectation_of
from app.monitors.states import read_state, write_state
from app.monitors.tables import monitor_states, monitors
from app.monitors.watch import is_note_due, look
from app.projects import closed_projects
from app.store import Store

# States of one transaction. Most change only a row or two.
BATCH_SIZE = 50


def evaluate(
    store: Store, now: datetime, until: datetime, goes_on: Callable[[], bool] = lambda: True
) -> int:
    """Let time pass for all monitors that are due, and return how many there were.

    :param until: up to when all check-ins that were received are recorded.
    :raise StoreError: the store does not answer.
    """
    count = 0
    while goes_on():
        with store.read() as conn:
            if not _needs_look(conn, now, until):
                break
        with store.write(durable=False) as conn:
            found = _evaluate_batch(conn, now, until)
        count += found
        if found < BATCH_SIZE:
            break
    return count


def _needs_look(conn: Connection, now: datetime, until: datetime) -> bool:
    if is_note_due(conn, now):
        return True
    due = select(monitor_states.c.id).where(monitor_states.c.due_at < until).limit(1)
    return conn.execute(due).first() is not None


def _evaluate_batch(conn: Connection, now: datetime, until: datetime) -> int:
    outages = look(conn, now)
    columns = monitor_states.c
    due = select(monitor_states).where(columns.due_at < until).order_by(columns.due_at)
    rows = conn.execute(due.limit(BATCH_SIZE)).all()
    for row in rows:
        pass_time(conn, row, until, outages)
    return len(rows)


def pass_time(conn: Connection, row: Row[Any], until: datetime, outages: Sequence[Outage]) -> None:
    """Let time pass for a monitor in an environment.

    An archived project takes no check-ins, so nothing is expected of its monitors. Those that it
    sent at last are read when it is archived already.

    :param row: of ``monitor_states``.
    """
    monitor = conn.execute(select(monitors).where(monitors.c.id == row.monitor_id)).one()
    wanted, state = expectation_of(monitor), read_state(conn, row)
    if closed_projects(conn, [monitor.project_id]):
        changed = begin_anew(state, until)
    else:
        changed = advance(state, wanted, until, outages)
    write_state(conn, row.id, state, wanted, changed)
