"""The service as in production, with a project and the load that is sent to it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from app.events.tables import events
from app.issues.tables import issues
from app.projects import create_project
from app.store import Store
from benchmarks.envelopes import envelopes
from benchmarks.filler import Plan, fill
from config import ROOT
from tests.server_process import Server, http

CONNECTIONS, BUGS, PROCESSES = 16, 200, 2
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "x" * 50,
    "PUBLIC_URL": "http://127.0.0.1",
    "SENTRY_DSN": "",
    # Neither a quota nor retention may act in the middle of a measurement.
    "DEFAULT_EVENTS_PER_MINUTE": "0",
    "RETENTION_EVENTS": "1000000",
}
TOKEN = {"Authorization": f"Bearer {'t' * 20}"}


class Service:
    """A running service. Its project has no destination: events are stored, not forwarded.

    :param filled: how many events of other projects the store has at the start.
    """

    def __init__(self, folder: Path, *, processes: int = PROCESSES, filled: int = 0) -> None:
        data = folder / "data"
        data.mkdir()
        self.store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
        # As after the first start, whose web process runs the migrations.
        self.store.open()
        if filled:
            fill(self.store, Plan(events=filled))
        self.server = Server(data, WEB_CONCURRENCY=str(processes), **PRODUCTION)
        self.server.wait_ready()
        project = create_project(self.store, "shop")
        self.project = project.id
        self.url = f"{self.server.url}/api/{project.id}/envelope/?sentry_key={project.keys[0]}"
        self.accepted = 0

    def stop(self) -> None:
        """Stop the service."""
        self.store.dispose()
        self.server.stop()

    def send(self, count: int, shape: str = "ordinary") -> dict[str, Any]:
        """Send events; return the summary of the answers.

        :raise RuntimeError: an event was not accepted.
        """
        answers = send(self.url, count, shape)
        if answers["counts"] != {"200": count}:
            raise RuntimeError(f"not all of {count} events were accepted: {answers['counts']}")
        self.accepted += count
        return answers

    def get(self, path: str) -> Any:
        """Return the JSON answer of a path of the API."""
        return http.request("GET", self.server.url + path, headers=TOKEN, timeout=60).json()

    def visible_ms(self, shape: str) -> float:
        """Return the milliseconds from sending an event until the API shows it."""
        ((event_id, body),) = envelopes(1, 1, "gzip", shape)
        started = time.perf_counter()
        answer = http.request("POST", self.url, body=body, headers={"Content-Encoding": "gzip"})
        assert answer.status == 200
        assert self.get(f"/api/events/{event_id}")["event_id"] == event_id
        self.accepted += 1
        return (time.perf_counter() - started) * 1000

    def rss_mib(self) -> float:
        """Return the memory of the largest web process, in MiB."""
        return max(worker.memory_info().rss for worker in self.server.workers()) / 2**20

    def stored(self) -> tuple[int, int]:
        """Return the numbers of stored events and of issues of the project."""
        with self.store.read() as conn:
            counts = [
                conn.execute(
                    select(func.count()).select_from(t).where(t.c.project_id == self.project)
                ).scalar_one()
                for t in (events, issues)
            ]
        return counts[0], counts[1]


def send(url: str, count: int, shape: str = "ordinary") -> dict[str, Any]:
    """Send events from another process; return the summary of the answers."""
    command = [sys.executable, "-m", "benchmarks.load", "--url", url, "--shape", shape]
    command += ["--connections", str(CONNECTIONS), "--bugs", str(BUGS), "--events", str(count)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def cpu_s(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds of these processes so far."""
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))
