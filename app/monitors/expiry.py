"""Remove old runs, and those beyond the bound of an environment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from app.monitors.tables import (
    check_ins,
    monitor_losses,
    monitor_states,
    monitors,
    runs_without_row,
)
from app.monitors.watch import forget_outages
from app.store import Store, delete_in_batches

# A month of a job that runs each minute.
MAX_RUNS = 50_000


def expire(store: Store, project_id: int, before: datetime) -> None:
    """Remove runs of a project that began before a moment; those in progress stay.

    What is said of check-ins that were left out goes, too, if none was left out since.
    """
    of_project = (
        select(monitor_states.c.id)
        .join(monitors, monitors.c.id == monitor_states.c.monitor_id)
        .where(monitors.c.project_id == project_id)
    )
    columns = check_ins.c
    is_old = columns.state_id.in_(of_project), columns.at < before, columns.status != "in_progress"
    delete_in_batches(store, check_ins, is_old[0] & is_old[1] & is_old[2])
    noted = runs_without_row.c
    delete_in_batches(store, runs_without_row, noted.state_id.in_(of_project) & (noted.at < before))
    lost = monitor_losses.c
    delete_in_batches(
        store, monitor_losses, (lost.project_id == project_id) & (lost.last_at < before)
    )


def bound_runs(store: Store, most: int = MAX_RUNS) -> None:
    """Remove the oldest runs of environments that have too many, and all but the latest outages."""
    columns = check_ins.c
    many = select(columns.state_id).group_by(columns.state_id).having(func.count() > most)
    with store.read() as conn:
        ids = list(conn.scalars(many))
    for state_id in ids:
        of_it = select(columns.id).where(columns.state_id == state_id)
        with store.read() as conn:
            last = conn.scalar(of_it.order_by(columns.id.desc()).offset(most).limit(1))
        if last is not None:
            is_beyond = (columns.state_id == state_id) & (columns.id <= last)
            delete_in_batches(store, check_ins, is_beyond & (columns.status != "in_progress"))
    with store.write(durable=False) as conn:
        forget_outages(conn)
