"""Jobs with known runs, played through the store, and what must be found of them.

The runs are counted on the wall clock (`wall_clock.py`) without the library that reads crontabs,
and what becomes of each is drawn by a seeded chance. So all that a monitor says is known before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from app.monitors import queries
from app.monitors.check_in import Sent
from app.monitors.evaluation import evaluate
from app.monitors.machine import FAILING, CheckIn
from app.monitors.recording import record
from app.monitors.tables import monitor_states, monitors
from app.store import Store
from tests.monitors.wall_clock import days_of_year, runs

YEAR = 2026
QUARTERS, HOURS = {0, 15, 30, 45}, set(range(24))
DAYS = days_of_year(YEAR)
MINUTE = timedelta(minutes=1)
MARGIN, MAX_RUNTIME = 5 * MINUTE, 30 * MINUTE

# Crontab, zone, and what an independent count needs: minutes, hours, days, in real time or not.
CRONTABS = [
    ("0 2 * * *", "Europe/Berlin", {0}, {2}, DAYS, False),
    ("30 2 * * *", "America/New_York", {30}, {2}, DAYS, False),
    ("0 * * * *", "Europe/Berlin", {0}, HOURS, DAYS, True),
    ("*/30 1-4 * * *", "America/New_York", {0, 30}, {1, 2, 3, 4}, DAYS, True),
    ("15 9 * * 1-5", "Asia/Kolkata", {15}, {9}, days_of_year(YEAR, "12345"), False),
    ("0 0 1 * *", "UTC", {0}, {0}, days_of_year(YEAR, first=True), False),
    ("45 23 * * 7", "America/New_York", {45}, {23}, days_of_year(YEAR, "7"), False),
    ("0 1,2,3 * * *", "Europe/Berlin", {0}, {1, 2, 3}, DAYS, False),
    ("15 */6 * * *", "Asia/Kolkata", {15}, {0, 6, 12, 18}, DAYS, True),
    ("@daily", "UTC", {0}, {0}, DAYS, False),
]
INTERVALS = [("90", "minute", "Europe/Berlin"), ("1", "day", "America/New_York")]


class Story(NamedTuple):
    """Check-ins of a job, and what they mean.

    :param sent: when they come, in order.
    :param rows: status and expected time of each run. The first run was not expected.
    :param fails: how often the monitor begins to fail. :param recovers: how often it is ok again.
    :param lates: moments right before a run is missed. :param end: when all that is over.
    """

    sent: list[tuple[datetime, CheckIn]]
    rows: list[tuple[str, datetime | None]]
    fails: int
    recovers: int
    lates: list[datetime]
    end: datetime

    @property
    def count(self) -> Counter[str]:
        """How many runs there are of each status."""
        return Counter(status for status, _ in self.rows)


class Job(NamedTuple):
    """A job: its monitor, what is expected of it, and its story."""

    slug: str
    config: dict[str, Any]
    story: Story


def story(ticks: Sequence[datetime], seed: int, span: timedelta | None = None) -> Story:
    """Return check-ins for runs, and the independent count of what they mean.

    The first run comes in any case: without it nothing is expected.

    :param ticks: when runs are expected.
    :param span: of an interval: each run is expected this long after the run before, or after the
        one that was missed. Then the times of the ticks do not matter, only their number.
    """
    chance, sent, rows, lates = random.Random(seed), [], [], []
    ends: list[tuple[datetime, bool]] = []
    tick = ticks[0]
    for number, planned in enumerate(ticks):
        kind = chance.choices(("ok", "error", "missed", "timeout", "beat"), (88, 4, 4, 2, 2))[0]
        kind = "ok" if number == 0 else kind
        tick = planned if span is None else tick + span if number else tick
        at = tick + timedelta(seconds=chance.randrange(-5 if number and span is None else 0, 280))
        name, is_ok = f"{number:032x}", kind in ("ok", "beat")
        rows.append(("ok" if is_ok else kind, tick if number else None))
        if kind == "missed":
            lates.append(tick + MARGIN - timedelta(seconds=1))
            ends.append((tick + MARGIN, False))
            continue
        end = at + timedelta(seconds=chance.randrange(1, 500))
        if kind == "beat":
            sent.append((at, CheckIn(name, "ok", 2000.0)))
        else:
            sent.append((at, CheckIn(name, "in_progress")))
        if kind in ("ok", "error"):
            sent.append((end, CheckIn(name, kind)))
        ends.append(
            (at + MAX_RUNTIME if kind == "timeout" else at if kind == "beat" else end, is_ok)
        )
        tick = tick if span is None else at
    ends.sort()
    fails, recovers = _changes(is_ok for _, is_ok in ends)
    sent.sort(key=lambda one: one[0])
    return Story(sent, rows, fails, recovers, lates, ends[-1][0] + timedelta(seconds=1))


def _changes(outcomes: Iterator[bool]) -> tuple[int, int]:
    fails = recovers = 0
    was_ok = True
    for is_ok in outcomes:
        fails, recovers = fails + (was_ok and not is_ok), recovers + (is_ok and not was_ok)
        was_ok = is_ok
    return fails, recovers


def jobs_of(days: set[date], zones: set[str] | None = None) -> list[Job]:
    """Return the jobs that run on some days.

    :param zones: only jobs of these time zones.
    """
    found = []
    for text, zone, minutes, hours, own_days, real in CRONTABS:
        if not days & own_days or (zones is not None and zone not in zones):
            continue
        ticks = runs(zone, minutes, hours, days & own_days, in_real_time=real)
        told = story(ticks, seed=len(found) + len(days))
        found.append(Job(f"job-{len(found)}", _config("crontab", text, None, zone), told))
    for value, unit, zone in INTERVALS:
        span = int(value) * timedelta(**{f"{unit}s": 1})
        first = datetime.combine(min(days), datetime.min.time(), UTC)
        ticks = [first + n * span for n in range(timedelta(days=len(days)) // span)]
        if zones is None or zone in zones:
            config = _config("interval", value, unit, zone)
            told = story(ticks, seed=len(found) + len(days), span=span)
            found.append(Job(f"job-{len(found)}", config, told))
    return found


def _config(type: str, value: str, unit: str | None, zone: str) -> dict[str, Any]:
    values = {"schedule_type": type, "schedule_value": value, "schedule_unit": unit}
    margin, longest = MARGIN // MINUTE, MAX_RUNTIME // MINUTE
    return values | {"timezone": zone, "checkin_margin": margin, "max_runtime": longest}


class Player:
    """Plays jobs through the store in the order of time, and notes what the monitors say.

    It records each check-in by itself, and lets time pass right before it, as the two background
    tasks do. ``AWAY_AFTER`` must be longer than the time between two check-ins.
    """

    def __init__(self, store: Store, jobs: Sequence[Job]) -> None:
        self.store, self.jobs = store, jobs
        self.statuses: dict[str, str] = {}
        self.fails: Counter[str] = Counter()
        self.recovers: Counter[str] = Counter()
        self.wrongly_on_time: list[tuple[str, datetime]] = []
        self.ends = {job.slug: job.story.end for job in jobs}
        self.due: datetime | None = None

    def play(self) -> None:
        """Play all jobs, each until its last run is over."""
        for at, job, given in self._steps():
            self._pass_time(at)
            if given is None:
                self._ask_whether_late(job.slug, at)
                continue
            sent = Sent(1, at, job.slug, "production", given, (job.config, None))
            with self.store.write(durable=False) as conn:
                record(conn, [sent], at)
            self._look(at)
        self._pass_time(max(job.story.end for job in self.jobs))

    def _pass_time(self, until: datetime) -> None:
        while self.due is not None and self.due < until:
            now = self.due + timedelta(seconds=1)
            evaluate(self.store, now, now)
            self._look(now)

    def _steps(self) -> list[tuple[datetime, Job, CheckIn | None]]:
        steps: list[tuple[datetime, Job, CheckIn | None]] = []
        for job in self.jobs:
            steps += [(at, job, given) for at, given in job.story.sent]
            steps += [(at, job, None) for at in job.story.lates]
        return sorted(steps, key=lambda step: step[0])

    def _ask_whether_late(self, slug: str, at: datetime) -> None:
        with self.store.read() as conn:
            monitor = queries.find_monitor(conn, 1, slug, at)
        if monitor is None or monitor.status not in ("late", *FAILING):
            self.wrongly_on_time.append((slug, at))

    def _look(self, now: datetime) -> None:
        columns = monitor_states.c
        query = select(monitors.c.slug, columns.status, columns.due_at)
        with self.store.read() as conn:
            rows = conn.execute(query.join(monitors, monitors.c.id == columns.monitor_id)).all()
        for slug, status, _ in rows:
            before = self.statuses.get(slug, "ok")
            if now <= self.ends[slug]:
                self.fails[slug] += before not in FAILING and status in FAILING
                self.recovers[slug] += before in FAILING and status not in FAILING
            self.statuses[slug] = status
        self.due = min((due for _, _, due in rows if due), default=None)


def found_rows(store: Store, job: Job) -> list[tuple[str, datetime | None]]:
    """Return status and expected time of the runs of a job, as pages and the API read them.

    Runs that were expected after the story are left out.
    """
    found: list[Any] = []
    expected = [moment for _, moment in job.story.rows if moment]
    last = max(expected, default=job.story.end)
    with store.read() as conn:
        monitor = queries.find_monitor(conn, 1, job.slug, last)
        ids = [one.id for one in monitor.environments] if monitor else []
        before = None
        while page := queries.runs_of(conn, ids, before=before, limit=1000):
            found, before = found + page, page[-1].id
    rows = [(run.status, run.expected_at) for run in reversed(found)]
    return [row for row in rows if row[1] is None or row[1] <= last]
