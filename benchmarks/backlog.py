"""After an outage: 10,000 envelopes of 200 issues are queued, and the service is in use.

The destination is paused and resumed in turn, so that the pages of one process are measured with
and without the drain in the same minutes. At the end every envelope must have arrived once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.delivery import destinations
from app.delivery.outbox import LIVE
from app.store import Store, utc_now
from benchmarks.goals import Figure, printed
from benchmarks.queued import lost, queue_envelopes
from tests.fake_sentry import FakeSentry
from tests.person import Person
from tests.server_process import Server, WorkerProcess, wait_for

QUEUED = 10_000
ISSUES = 200
ROUNDS = 4
WINDOW_S = 12.0
# Directly after a resume, half a second's worth of envelopes is sent at once. The rate is measured
# after this time.
SETTLED_S = 2.0
PER_S = 50.0
LATENCY_S = 0.05
PAGES = ("/admin/", "/admin/issues", "/admin/events", "/admin/status")
BETWEEN_LIVE_S = 0.5


@dataclass
class Figures:
    """Page times in milliseconds and drain rates in envelopes a second, of all rounds."""

    paused_ms: list[float] = field(default_factory=list)
    draining_ms: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    drained_per_s: list[float] = field(default_factory=list)
    live_ids: dict[str, float] = field(default_factory=dict)


def measure(queued: int = QUEUED) -> Iterator[Figure]:
    """Measure pages and drain in turns, then let everything drain."""
    figures = Figures()
    with (
        FakeSentry(latency_s=LATENCY_S) as fake,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        data = Path(folder) / "data"
        event_ids = queue_envelopes(data, fake.dsn(), queued, ISSUES)
        # Younger envelopes would be sent as live ones.
        time.sleep(LIVE.total_seconds())
        with _paused_service(data, fake.dsn()) as (server, store):
            for _ in range(ROUNDS):
                _measure(server, store, fake, figures)
        _drain_the_rest(data, store, fake, queued + len(figures.live_ids))
        missed = lost([*event_ids, *figures.live_ids], fake.event_ids())
        yield from _report(figures, fake, missed)


@contextmanager
def _paused_service(data: Path, dsn: str) -> Iterator[tuple[Server, Store]]:
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    with store.write() as conn:
        destinations.pause(conn, 1, utc_now())
    server = Server(data, SENTRY_DSN=dsn, WEB_CONCURRENCY="1", DELIVERY_BACKLOG_PER_S=str(PER_S))
    try:
        server.wait_ready()
        yield server, store
    finally:
        server.stop()
        store.dispose()


def _measure(server: Server, store: Store, fake: FakeSentry, figures: Figures) -> None:
    """Measure one window while the destination is paused, and one while the backlog drains."""
    person = _Reader(server.url)
    person.look_for(SETTLED_S)
    paused = person.look_for(WINDOW_S)
    with store.write() as conn:
        destinations.resume(conn, 1, utc_now())
    person.look_for(SETTLED_S)
    started = time.time()
    draining = person.look_for(WINDOW_S, server, figures.live_ids)
    ended = time.time()
    person.look_for(SETTLED_S)
    with store.write() as conn:
        destinations.pause(conn, 1, utc_now())
    figures.paused_ms += paused
    figures.draining_ms += draining
    figures.ratios.append(statistics.median(draining) / statistics.median(paused))
    figures.drained_per_s.append(_drained(fake, figures, started, ended) / (ended - started))


def _drained(fake: FakeSentry, figures: Figures, started: float, ended: float) -> int:
    return sum(
        started <= entry["at"] < ended and entry["event_id"] not in figures.live_ids
        for entry in fake.record()
    )


class _Reader:
    """A logged-in person who opens one page after the other."""

    def __init__(self, url: str) -> None:
        self._person = Person(url)

    def look_for(
        self, seconds: float, server: Server | None = None, live_ids: dict[str, float] | None = None
    ) -> list[float]:
        """Open pages for some seconds; return the milliseconds of each.

        :param live_ids: if given, an error is made twice a second; its id and time are added here.
        """
        started, times = time.monotonic(), list[float]()
        next_error = started
        while time.monotonic() - started < seconds:
            for path in PAGES:
                before = time.perf_counter()
                self._person.get(path)
                times.append((time.perf_counter() - before) * 1000)
            if server is not None and live_ids is not None and time.monotonic() >= next_error:
                next_error += BETWEEN_LIVE_S
                at = time.time()
                live_ids[server.test_error("live").json()["event_id"]] = at
        return times


def _drain_the_rest(data: Path, store: Store, fake: FakeSentry, expected: int) -> None:
    with store.write() as conn:
        destinations.resume(conn, 1, utc_now())
    store.dispose()
    worker = WorkerProcess(data, SENTRY_DSN=fake.dsn(), DELIVERY_BACKLOG_PER_S="0")
    try:
        wait_for(lambda: len(fake.event_ids()) >= expected, timeout_s=300)
    finally:
        worker.stop()


def _report(figures: Figures, fake: FakeSentry, missed: int) -> Iterator[Figure]:
    arrived = {entry["event_id"]: entry["at"] for entry in reversed(fake.record())}
    live_ms = [(arrived[id_] - at) * 1000 for id_, at in figures.live_ids.items()]
    pace = statistics.median(figures.drained_per_s)
    yield Figure(f"pace of the drain ÷ {PER_S:.0f}/s", pace / PER_S, 0.85, more_is_better=True)
    yield Figure("pace of the drain, not above", pace / PER_S, 1.15)
    ratio = statistics.median(figures.ratios)
    yield Figure("a page during the drain ÷ without it", ratio, 1.5)
    yield Figure("a page without it, ms", statistics.median(figures.paused_ms))
    yield Figure("a live event is with Sentry after, ms at worst", max(live_ms), 2000)
    yield Figure("a live event is with Sentry after, ms (median)", statistics.median(live_ms))
    yield Figure("lost envelopes", missed, 0)
    yield Figure("envelopes that were sent twice", len(fake.repeats()), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--events", type=int, default=QUEUED, help="queued (%(default)s)")
    sys.exit(not all([one.is_met for one in printed(measure(parser.parse_args().events))]))
