"""The rate at which queued envelopes reach a healthy Sentry, compared with the SDK's own sender.

The SDK sends from a thread of the process that raises, and drops events that do not fit its queue.
The forwarder sends the envelopes on the disk, in `flask worker` or in a web process. All of them
send the same event in the same run, each to its own fake Sentry on loopback.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.goals import Figure, run_alone
from benchmarks.queued import arrivals_per_s, lost, queue_envelopes
from benchmarks.requests import raise_errors
from tests.fake_sentry import FakeSentry
from tests.server_process import Server, WorkerProcess, serving, wait_for

QUEUED = 3000
ROUNDS = 3
SDK_S = 5.0
# This number of callers keeps every thread of the process busy.
BUSY = 8
GOAL = 10.0
DRAIN = {"DELIVERY_BACKLOG_PER_S": "0", "WEB_CONCURRENCY": "1"}


def measure() -> Iterator[Figure]:
    """Measure the SDK's sender and both kinds of our processes in turns."""
    ratios, all_lost, event = [], 0, raised_event()
    for number in range(1, ROUNDS + 1):
        theirs = sdk_per_s()
        alone, lost_alone = drained_per_s(event, in_web=False)
        in_web, lost_in_web = drained_per_s(event, in_web=True)
        ratios.append(min(alone, in_web) / theirs)
        all_lost += lost_alone + lost_in_web
        yield Figure(f"round {number}: the SDK's sender, envelopes/s", theirs)
        yield Figure(f"round {number}: flask worker, envelopes/s", alone)
        yield Figure(f"round {number}: a web process, envelopes/s", in_web)
    ratio = statistics.median(ratios)
    yield Figure("the slower of ours ÷ the SDK's sender", ratio, GOAL, more_is_better=True)
    yield Figure("lost envelopes", all_lost, 0)


def sdk_per_s() -> float:
    """Return how many envelopes a second arrive from the SDK's sender while a route raises."""
    with FakeSentry() as fake, tempfile.TemporaryDirectory() as folder:
        server = Server(
            Path(folder) / "data",
            app="benchmarks.bench_app:app",
            BENCH_MODE="sdk",
            SENTRY_DSN=fake.dsn(),
            SENTRY_TRACES_SAMPLE_RATE="0.1",
            SENTRY_PROFILES_SAMPLE_RATE="0.1",
            WEB_CONCURRENCY="1",
        )
        try:
            server.wait_ready()
            raise_errors(server.port, SDK_S / 2, BUSY)
            started = time.time()
            raise_errors(server.port, SDK_S, BUSY)
            ended = time.time()
        finally:
            server.stop()
        # Envelopes that the SDK sends after the load are not counted.
        arrived = sum(started <= entry["at"] < ended for entry in fake.record())
        return arrived / (ended - started)


def raised_event() -> dict[str, Any]:
    """Return the event of the raising route, as the SDK made it."""
    with tempfile.TemporaryDirectory() as folder:
        app = "benchmarks.bench_app:app"
        with serving(Path(folder) / "data", app=app, WEB_CONCURRENCY="1") as server:
            raise_errors(server.port, 0.1)
            event_id = server.get("/api/events")["events"][0]["event_id"]
            event: dict[str, Any] = server.get(f"/api/events/{event_id}?raw=1")
            return event


def drained_per_s(event: dict[str, Any], *, in_web: bool) -> tuple[float, int]:
    """Return how many envelopes a second a process drains, and how many were lost.

    :param event: the event that is queued, with many ids.
    """

    def again(bug: int, number: int) -> dict[str, Any]:
        return event | {"event_id": uuid.uuid4().hex}

    with FakeSentry() as fake, tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        event_ids = queue_envelopes(data, fake.dsn(), QUEUED, 1, again)
        kind = Server if in_web else WorkerProcess
        process = kind(data, SENTRY_DSN=fake.dsn(), **DRAIN)  # type: ignore[operator]
        try:
            wait_for(lambda: len(_arrivals(fake)) >= QUEUED, timeout_s=300)
        finally:
            process.stop()
        return arrivals_per_s(_arrivals(fake)), lost(event_ids, fake.event_ids())


def _arrivals(fake: FakeSentry) -> list[float]:
    return [entry["at"] for entry in fake.record() if entry["event_ids"]]


if __name__ == "__main__":
    run_alone(__doc__, measure)
