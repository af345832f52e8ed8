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
from pathlib import Path
from typing import Any

from benchmarks.queued import arrivals_per_s, lost, queue_envelopes
from benchmarks.requests import raise_errors
from benchmarks.usage import only_help
from tests.fake_sentry import FakeSentry
from tests.server_process import Server, WorkerProcess, serving, wait_for

QUEUED = 3000
ROUNDS = 3
SDK_S = 5.0
# This number of callers keeps every thread of the process busy.
BUSY = 8
GOAL = 10.0
DRAIN = {"DELIVERY_BACKLOG_PER_S": "0", "WEB_CONCURRENCY": "1"}


def main() -> bool:
    """Measure and print; return whether the goal is met."""
    ratios, all_lost, event = [], 0, raised_event()
    for round_ in range(ROUNDS):
        theirs = sdk_per_s()
        alone, lost_alone = drained_per_s(event, in_web=False)
        in_web, lost_in_web = drained_per_s(event, in_web=True)
        ratios.append(min(alone, in_web) / theirs)
        all_lost += lost_alone + lost_in_web
        print(
            f"  round {round_ + 1}: the SDK's sender {theirs:.0f}/s, `flask worker` {alone:.0f}/s,"
            f" a web process {in_web:.0f}/s",
            flush=True,
        )
    ratio = statistics.median(ratios)
    goals = {
        f"the slower of the two drains {ratio:.1f} times as fast (at least {GOAL:.0f})": ratio
        >= GOAL,
        f"of {QUEUED * ROUNDS * 2} envelopes {all_lost} were lost (none)": not all_lost,
    }
    for text, met in goals.items():
        print(f"  {'met   ' if met else 'MISSED'}  {text}")
    return all(goals.values())


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
    only_help(__doc__)
    raise SystemExit(not main())
