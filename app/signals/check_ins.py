"""Check-ins as a kind of signal, and the task that finds the runs that did not come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import Connection, select

from app.events.tables import envelopes
from app.monitors.check_in import Sent, read_check_ins
from app.monitors.evaluation import evaluate
from app.monitors.recording import record
from app.monitors.watch import keep_watch
from app.signals.kind import Signal, Stored
from app.signals.state import read_up_to
from app.store import Store, utc_now
from app.store.resting_task import RestingTask

# An envelope waits for the store this long at most, and a bit more for slow clocks.
SETTLES = timedelta(seconds=10)


class CheckInSignal(Signal):
    """The check-ins of an envelope."""

    item_types: ClassVar = frozenset({"check_in"})

    def read(self, stored: Stored) -> Sequence[Sent]:
        """Return the check-ins in their order."""
        return list(read_check_ins(stored.envelope, stored.project_id, stored.received_at))

    def write(self, conn: Connection, found: Sequence[Sent], now: datetime) -> None:
        """Apply the check-ins."""
        record(conn, found, now)


class MonitorTask(RestingTask):
    """Finds runs of monitors that were missed or take too long."""

    name = "monitors"

    def wait_for_lease(self) -> None:
        """Note that this process is there: it takes check-ins, and looks as soon as it may."""
        keep_watch(self.store, utc_now())

    def work_in_batches(self, goes_on: Callable[[], bool]) -> None:
        """Let time pass for the monitors that are due."""
        now = utc_now()
        evaluate(self.store, now, recorded_until(self.store, now), goes_on)


def recorded_until(store: Store, now: datetime) -> datetime:
    """Return up to when all check-ins that were received are recorded.

    So a run is not missed because its check-in waits to be read.
    """
    columns = envelopes.c
    unread = select(columns.received_at).order_by(columns.id).limit(1)
    with store.read() as conn:
        oldest = conn.scalar(unread.where(columns.id > read_up_to(conn)))
    settled = now - SETTLES
    return settled if oldest is None else min(settled, oldest)
