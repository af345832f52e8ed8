"""The cost of the ingest routes, relative to a handler in the same gunicorn that only reads bodies.

    python -m benchmarks.ingest [--events 2000] [--rounds 3] [--filled 100000]

Two web processes and 16 connections are used. Events of 16 KB of 200 bugs go to a project without a
destination: they are stored durably, scrubbed, grouped and visible. The two handlers alternate
within one run, since machines are noisy and shared. Then everything is measured again with a store
of 100,000 events.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.projects import create_project
from app.store import Store
from benchmarks.envelopes import envelopes
from config import ROOT
from tests.server_process import Server, http

CONNECTIONS, BUGS, WEB_PROCESSES = 16, 200, 2
# How many events are sent between two lines of output while the store is filled.
FILL_STEP = 10_000
VISIBLE_TRIES = 50
# The goal for an event, on a machine where the request that only reads costs READING_CPU_MS. On a
# slower machine the goal is larger by the factor of the reading request in the same run.
MAX_CPU_MS, READING_CPU_MS = 3.0, 0.7
# Of a gunicorn process with eight threads; most of it is the interpreter and its modules.
LIMIT_RSS_MIB = 160


@dataclass
class Side:
    """The figures of one of the two handlers: a value for each round."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    latency_ms: list[dict[str, float]] = field(default_factory=list)

    def percentile(self, name: str) -> float:
        """Return the median of the rounds' percentiles, in milliseconds."""
        return statistics.median(one[name] for one in self.latency_ms)


@dataclass
class Figures:
    """The figures with one state of the store: both handlers, disk and memory."""

    reading: Side = field(default_factory=Side)
    keeping: Side = field(default_factory=Side)
    visible_ms: list[float] = field(default_factory=list)
    event_bytes: float = 0.0
    rss_mib: float = 0.0

    def ratio(self, of: str) -> float:
        """Return the median of the rounds' ratios; both sides of a round had the same noise."""
        pairs = {
            "rate": (self.keeping.per_s, self.reading.per_s),
            "p99": (
                [one["p99"] for one in self.keeping.latency_ms],
                [one["p99"] for one in self.reading.latency_ms],
            ),
        }[of]
        return statistics.median(mine / other for mine, other in zip(*pairs, strict=True))


class Door:
    """A running service with a project, and the load that is sent to it."""

    def __init__(self, data_dir: Path) -> None:
        self.server = Server(
            data_dir,
            app="benchmarks.bench_app:app",
            WEB_CONCURRENCY=str(WEB_PROCESSES),
            SENTRY_DSN="",
            # Retention must not remove the 100,000 events of the filled store.
            RETENTION_EVENTS="1000000",
        )
        self.server.wait_ready()
        self._store = Store(f"sqlite:///{data_dir / 'devenviro.sqlite3'}")
        project = create_project(self._store, "shop")
        self.url = f"{self.server.url}/api/{project.id}/envelope/?sentry_key={project.keys[0]}"
        self.reading_url = f"{self.server.url}/bench/api/1/envelope/?"
        self.accepted = 0

    def close(self) -> None:
        """Stop the service."""
        self._store.dispose()
        self.server.stop()

    def send(self, events: int, url: str | None = None) -> dict[str, Any]:
        """Send this number of events from another process; return the summary of the answers."""
        command = [sys.executable, "-m", "benchmarks.load", "--url", url or self.url]
        command += ["--connections", str(CONNECTIONS), "--bugs", str(BUGS), "--events", str(events)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        answers: dict[str, Any] = json.loads(done.stdout)
        # The handler that only reads answers 200 without an id, which counts as a wrong id.
        expected = {"200" if url is None else "wrong id": events}
        if answers["counts"] != expected:
            raise RuntimeError(f"expected {expected}, not {answers['counts']}")
        self.accepted += answers["accepted"]
        return answers

    def cpu_s(self) -> float:
        """Return the CPU seconds of all processes of the service, ended ones included."""
        master = psutil.Process(self.server.process.pid)
        own, workers = master.cpu_times(), [child.cpu_times() for child in master.children()]
        gone = own.children_user + own.children_system
        return float(sum(one.user + one.system for one in [own, *workers]) + gone)

    def rss_mib(self) -> float:
        """Return the memory of the larger web process, in MiB."""
        return max(worker.memory_info().rss for worker in self.server.workers()) / 2**20

    def size_bytes(self) -> int:
        """Return the size of the store in bytes, with its write-ahead log."""
        return self._store.size_bytes()

    def visible_ms(self) -> float:
        """Return the milliseconds from sending an event until the API shows it."""
        ((event_id, body),) = envelopes(1, 1, "gzip")
        started = time.perf_counter()
        answer = http.request("POST", self.url, body=body, headers={"Content-Encoding": "gzip"})
        assert answer.status == 200
        assert self.server.get(f"/api/events/{event_id}")["event_id"] == event_id
        self.accepted += 1
        return (time.perf_counter() - started) * 1000

    def counted(self) -> tuple[int, int, bool]:
        """Return what the service reports: issues, events, whether the accounting balances."""
        status = self.server.get("/system/status")
        issues = self.server.get("/api/issues?limit=1")["total"]
        return issues, status["store"]["events"], status["accounting"]["balanced"]


def main(events: int = 2000, rounds: int = 3, filled: int = 100_000) -> bool:
    """Measure and print; return whether the goals are met."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        door = Door(Path(folder) / "data")
        try:
            door.send(2 * BUGS)
            print("  an empty store", flush=True)
            met = _report(_measure(door, events, rounds), door)
            if filled:
                _fill(door, filled)
                print(f"\n  a store of {door.accepted} events", flush=True)
                met = _report(_measure(door, events, rounds), door) and met
        finally:
            door.close()
    return met


def _measure(door: Door, events: int, rounds: int) -> Figures:
    figures, size, accepted = Figures(), door.size_bytes(), door.accepted
    for _ in range(rounds):
        _measure_side(door, figures.reading, events, door.reading_url)
        _measure_side(door, figures.keeping, events, None)
    figures.event_bytes = (door.size_bytes() - size) / (door.accepted - accepted)
    figures.rss_mib = door.rss_mib()
    figures.visible_ms = [door.visible_ms() for _ in range(VISIBLE_TRIES)]
    return figures


def _measure_side(door: Door, side: Side, events: int, url: str | None) -> None:
    before = door.cpu_s()
    answers = door.send(events, url)
    side.cpu_ms.append((door.cpu_s() - before) / events * 1000)
    side.per_s.append(events / answers["seconds"])
    side.latency_ms.append(answers["latency_ms"])


def _fill(door: Door, filled: int) -> None:
    while door.accepted < filled:
        rate = door.send(min(FILL_STEP, filled - door.accepted))["accepted_per_s"]
        print(f"    {door.accepted} of {filled} events, {rate:.0f}/s", flush=True)


def _report(figures: Figures, door: Door) -> bool:
    print("  handler      events/s   CPU ms    p50 ms    p95 ms    p99 ms    max ms")
    for name, side in (("only reads", figures.reading), ("keeps", figures.keeping)):
        rate, cpu = statistics.median(side.per_s), statistics.median(side.cpu_ms)
        waits = "".join(f"{side.percentile(part):10.1f}" for part in ("p50", "p95", "p99", "max"))
        print(f"  {name:12} {rate:8.0f} {cpu:8.2f}{waits}")
    visible = statistics.median(figures.visible_ms)
    print(f"  sent -> visible: median {visible:.1f} ms, worst {max(figures.visible_ms):.1f} ms")
    goals = _goals(figures, *door.counted(), door.accepted)
    for text, met in goals.items():
        print(f"  {'met   ' if met else 'MISSED'}  {text}")
    return all(goals.values())


def _goals(
    figures: Figures, issues: int, kept: int, balanced: bool, accepted: int
) -> dict[str, bool]:
    rate, p99 = figures.ratio("rate"), figures.ratio("p99")
    cpu, reading = (statistics.median(s.cpu_ms) for s in (figures.keeping, figures.reading))
    size, allowed = figures.event_bytes / 1024, MAX_CPU_MS * max(1.0, reading / READING_CPU_MS)
    return {
        f"it keeps {rate:.2f} of what the other only reads (at least 0.25, aim 0.4)": rate >= 0.25,
        f"an event costs {cpu:.2f} ms of CPU, {cpu / reading:.1f} times the other's (at most"
        f" {MAX_CPU_MS:.0f} where that costs {READING_CPU_MS}, so {allowed:.2f} here)": cpu
        <= allowed,
        f"its p99 is {p99:.1f} times the other's (at most 8, aim 4)": p99 <= 8,
        f"an event takes {size:.2f} KB of disk (at most 4)": size <= 4,
        f"{BUGS} bugs are {issues} issues (as many)": issues == BUGS,
        f"of {accepted} accepted events {kept} are there (all)": kept == accepted,
        f"the books {'balance' if balanced else 'DO NOT BALANCE'}": balanced,
        f"a web process takes {figures.rss_mib:.0f} MiB (at most {LIMIT_RSS_MIB})": figures.rss_mib
        <= LIMIT_RSS_MIB,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest")
    parser.add_argument(
        "--events", type=int, default=2000, help="a round and handler (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of both handlers (%(default)s)")
    parser.add_argument("--filled", type=int, default=100_000, help="events; 0: not (%(default)s)")
    sys.exit(not main(**vars(parser.parse_args())))
