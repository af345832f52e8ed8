"""The monitors of a demo: jobs that are ok, late, missed, failing or paused, with their runs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from app.monitors.check_in import Sent
from app.monitors.evaluation import pass_time
from app.monitors.machine import CheckIn
from app.monitors.recording import change_expectation, record
from app.monitors.schedule import Schedule
from app.monitors.settings import DEFAULTS, columns_of, read_config
from app.monitors.tables import monitor_states, monitors

MINUTE, HOUR, DAY, WEEK = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(weeks=1),
)


class Job(NamedTuple):
    """A job of a demo.

    :param project: its number in the plan.
    :param schedule: ``value`` and ``unit`` of an interval.
    :param last: how long ago its last run began. :param runs: how many runs there were.
    :param takes: the usual length of a run.
    :param bad: runs that did not end well: their number from the newest one, 0, and their status.
    """

    project: int
    slug: str
    schedule: tuple[int, str]
    last: timedelta
    runs: int
    takes: timedelta
    bad: dict[int, str] = {}
    environment: str = "production"
    checkin_margin: int = 15
    max_runtime: int = 60

    @property
    def span(self) -> timedelta:
        """The time between two runs."""
        count, unit = self.schedule
        return count * {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": WEEK}[unit]


JOBS = (
    Job(0, "nightly-report", (1, "day"), 7 * HOUR, 40, 4 * MINUTE, {11: "error"}),
    Job(
        *(0, "import-orders", (15, "minute"), 4 * MINUTE, 60, MINUTE),
        *({0: "error", 1: "error", 23: "missed"}, "production", 5, 14),
    ),
    Job(2, "send-invoices", (1, "week"), WEEK + 20 * MINUTE, 12, 22 * MINUTE, checkin_margin=720),
    Job(
        4, "sync-inventory", (1, "hour"), 10 * MINUTE, 40, 9 * MINUTE, {5: "timeout", 6: "timeout"}
    ),
    Job(*(4, "sync-inventory", (1, "hour"), 25 * MINUTE, 30, 12 * MINUTE), environment="staging"),
    Job(4, "backup-database", (1, "day"), DAY + 3 * HOUR, 30, 35 * MINUTE, {8: "missed"}),
    Job(0, "clear-carts", (6, "hour"), 50 * HOUR, 25, 40 * timedelta(seconds=1)),
)
PAUSED, WAITING = "clear-carts", "rotate-keys"
# How long ago the error of the newest run of import-orders happened.
ERROR_OF_RUN = 3.5 * MINUTE


def add_monitors(
    conn: Connection, projects: dict[int, int], trace_id: str | None, now: datetime
) -> None:
    """Store the monitors with their runs, as far as their projects are in the demo.

    :param projects: ids by number. :param trace_id: that of an error in the first project, which
        the job that fails now sent.
    """
    sent: list[Sent] = []
    for job in JOBS:
        if job.project in projects:
            sent += _check_ins(job, projects[job.project], trace_id, now)
    record(conn, sorted(sent, key=lambda one: one.received_at), now)
    ids = set(projects.values())
    of_demo = select(monitors.c.id).where(monitors.c.project_id.in_(ids))
    paused = select(monitors).where(monitors.c.id.in_(of_demo), monitors.c.slug == PAUSED)
    for row in conn.execute(paused).all():
        change_expectation(conn, row, {"paused": True}, now)
    states = select(monitor_states).where(monitor_states.c.monitor_id.in_(of_demo))
    for row in conn.execute(states).all():
        pass_time(conn, row, now, ())
    waiting = {"project_id": projects[0], "slug": WAITING, "name": "", "managed_by": "person"}
    weekly = Schedule("crontab", "0 4 * * 1", None, "Europe/Berlin")
    values = {**DEFAULTS, **waiting, **columns_of(weekly), "created_at": now}
    conn.execute(insert(monitors).values(values))


def _check_ins(job: Job, project_id: int, trace_id: str | None, now: datetime) -> Iterator[Sent]:
    chance = random.Random(job.slug)  # noqa: S311 -- a demo, not a secret
    config = read_config(_config(job))
    for number in reversed(range(job.runs)):
        # Each run begins a bit later than it is expected, as the one before it did.
        began = now - job.last - number * job.span
        for at, given in _run(job, number, began, trace_id, chance):
            yield Sent(project_id, at, job.slug, job.environment, given, config)


def _run(
    job: Job, number: int, began: datetime, trace_id: str | None, chance: random.Random
) -> Iterable[tuple[datetime, CheckIn]]:
    status, id = job.bad.get(number, "ok"), f"{chance.getrandbits(128):032x}"
    takes = job.takes * chance.uniform(0.7, 1.4)
    if status == "missed":
        return ()
    trace = trace_id if number == 0 and status == "error" else None
    first = (began, CheckIn(id, "in_progress", release="shop@4.2.0", trace_id=trace))
    last = (began + takes, CheckIn(id, status, takes / timedelta(milliseconds=1), trace_id=trace))
    return (first,) if status == "timeout" else (first, last)


def _config(job: Job) -> dict[str, Any]:
    value, unit = job.schedule
    return {
        "schedule": {"type": "interval", "value": value, "unit": unit},
        "checkin_margin": job.checkin_margin,
        "max_runtime": job.max_runtime,
    }
