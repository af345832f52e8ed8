"""A full disk: all envelopes are refused, readiness fails, and the service recovers by itself.

The data is on a file system of 48 MiB in memory. Without the right to mount it, the kernel limits
the size of files instead (``RLIMIT_FSIZE``). Limits: while the disk is full, every envelope is
answered 503, never 200; within 10 s ``/health/ready`` is 503 and names the store; there is an alert
rule ``disk``; ``/health/live`` still answers; within 15 s after there is space again, an envelope
is answered 200 and readiness is 200.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from app.projects import create_project
from app.store import Store
from benchmarks.attacks import Attack, Outcome
from tests.server_process import Server, serving, wait_for

PROJECT, KEY = 2, "f" * 32
SIZE = "48m"
TRIES = 20
NOTICED_S, RECOVERED_S = 10.0, 15.0

http = urllib3.PoolManager(retries=False)


def full_disk(data: Path) -> Outcome:
    """Fill the disk of a running service, and free it again."""
    with _small_disk(data) as is_mounted:
        store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
        store.open()
        create_project(store, "Shop", PROJECT, KEY)
        store.dispose()
        with serving(data, WEB_CONCURRENCY="1") as server:
            assert _send(server) == 200
            fill, clear = _by_file(data) if is_mounted else _by_limit(server)
            fill()
            began = time.monotonic()
            noticed_s = _until(lambda: [_send(server), _ready(server)[0]][1] == 503, began)
            statuses = [_send(server) for _ in range(TRIES)]
            why, is_live = _ready(server)[1].get("store"), server._status("/health/live") == 200
            clear()
            began = time.monotonic()
            recovered_s = _until(lambda: _send(server) == 200 and _ready(server)[0] == 200, began)
            alerts = [rule["kind"] for rule in server.get("/api/alerts/rules")["rules"]]
    refused = statuses.count(503)
    return Outcome(
        f"{refused} of {TRIES} x 503, not ready after {noticed_s:.1f} s: store {why}",
        f"ready again after {recovered_s:.1f} s",
        refused == TRIES
        and why == "fail"
        and is_live
        and noticed_s <= NOTICED_S
        and recovered_s <= RECOVERED_S
        and "disk" in alerts,
    )


def _ready(server: Server) -> tuple[int, dict[str, str]]:
    answer = http.request("GET", f"{server.url}/health/ready", timeout=20)
    return answer.status, answer.json()["checks"]


def _send(server: Server) -> int:
    """Send an envelope that does not fit the rest of the write-ahead log; return the status."""
    said = os.urandom(8000).hex()
    body = b'{}\n{"type":"event"}\n{"message":"' + said.encode() + b'"}\n'
    url = f"{server.url}/api/{PROJECT}/envelope/?sentry_key={KEY}"
    return http.request("POST", url, body=body, timeout=20).status


def _until(condition: Callable[[], bool], began: float) -> float:
    wait_for(condition)
    return time.monotonic() - began


@contextmanager
def _small_disk(data: Path) -> Iterator[bool]:
    """Mount a small file system for the data; yield whether that was possible."""
    data.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(data)]
    is_mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(data)], check=True)


def _by_file(data: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    ballast = data / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 65_536):
                    pass
            except OSError:
                return

    return fill, ballast.unlink


def _by_limit(server: Server) -> tuple[Callable[[], object], Callable[[], object]]:
    def limit(size: int) -> None:
        for worker in server.workers():
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return lambda: limit(4096), lambda: limit(resource.RLIM_INFINITY)


ATTACKS = [Attack("a disk that is full", full_disk)]
