"""400 stalled connections at once, while four ordinary clients send events.

The connections come from eight addresses, fifty of each kind. They send nothing, one byte, half a
request head, two bytes of a form for ``/admin/login`` or for ``/feedback/…``, half an event, or
half a chunk. The last kind requests a large file several times and reads nothing. If the service
closes a connection, it is opened again after two seconds: without the pause this would be a flood
of requests, for which there are quotas.

Limits: ``/health/live`` is always answered within a second, on a new connection each time; events
are accepted at no less than 0.7 of the rate without the attack (the mean of before and after);
every event is answered 200.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from app.projects import create_project
from app.store import Store
from benchmarks.attacks import Attack, Outcome
from benchmarks.attacks.logins import MAX_HEALTH_S, Health
from config import ROOT
from tests.server_process import Server, serving, wait_for

MANY, ADDRESSES = 400, 8
PROJECT, KEY = 2, "e" * 32
CLIENTS, EVENTS = 4, 800
MIN_RATE = 0.7
# A client that does not read its answer cannot see that the connection was closed. Such connections
# are opened again after this time.
OPEN_AGAIN_S = 31.0
PAUSE_S = 2.0

HOST = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FORM = f"{HOST}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\n"
INGEST = f"POST /api/{PROJECT}/envelope/?sentry_key={KEY} {HOST}"
# A large and cheap answer: expensive answers would make this a flood of requests.
PAGE = "/bootstrap/static/css/bootstrap.min.css"
READS_NOTHING = f"GET {PAGE} {HOST}\r\n" * 30
KINDS = (
    "",
    "G",
    f"GET /health/live {HOST[:-8]}",
    f"POST /admin/login {FORM}us",
    f"POST /feedback/{'a' * 32} {FORM}na",
    f"{INGEST}Content-Length: 5000\r\n\r\n{{}}",
    f"{INGEST}Transfer-Encoding: chunked\r\n\r\nfff\r\n{{}}",
    READS_NOTHING,
)


class Crowd:
    """The stalled connections; a thread opens closed ones again."""

    def __init__(self, port: int) -> None:
        self.opened = 0
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._open_since: dict[int, tuple[socket.socket, float]] = {}
        # The connections that the service closed, and when they are opened again.
        self._open_at: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        wait_for(lambda: self.opened >= MANY)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for one, _since in self._open_since.values():
            one.close()

    def _keep_up(self) -> None:
        for number in range(MANY):
            self._open(number)
        while not self._done.is_set():
            for key, _events in self._selector.select(0.2):
                self._look_at(key.data)
            now = time.monotonic()
            for number, (one, since) in list(self._open_since.items()):
                reads_nothing = KINDS[number % len(KINDS)] == READS_NOTHING
                if reads_nothing and now - since > OPEN_AGAIN_S:
                    one.close()
                    self._open(number)
            for number in [number for number, at in self._open_at.items() if now >= at]:
                del self._open_at[number]
                self._open(number)

    def _open(self, number: int) -> None:
        one = socket.socket()
        one.bind((f"127.0.0.{2 + number // len(KINDS) % ADDRESSES}", 0))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(5)
        with contextlib.suppress(OSError):
            one.connect(("127.0.0.1", self._port))
            one.setblocking(False)
            one.send(KINDS[number % len(KINDS)].encode())
        self._open_since[number] = one, time.monotonic()
        self.opened += 1
        if KINDS[number % len(KINDS)] != READS_NOTHING:
            self._selector.register(one, selectors.EVENT_READ, number)

    def _look_at(self, number: int) -> None:
        try:
            is_open = bool(self._open_since[number][0].recv(4096))
        except BlockingIOError:
            return
        except OSError:
            is_open = False
        if not is_open:
            one, _since = self._open_since.pop(number)
            self._selector.unregister(one)
            one.close()
            self._open_at[number] = time.monotonic() + PAUSE_S


def crowd_out(data: Path) -> Outcome:
    """Measure the rate of accepted events before, during and after the attack."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    store.open()
    create_project(store, "Shop", PROJECT, KEY)
    store.dispose()
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "s" * 40, "WEB_CONCURRENCY": "2"}
    with serving(data, DEFAULT_EVENTS_PER_MINUTE="0", **production) as server:
        _send(server, 300)
        with Health(server) as before:
            rate_before, lost_before = _send(server)
        with Crowd(server.port) as crowd, Health(server) as health:
            rate, lost = _send(server)
        with Health(server):
            rate_after, lost_after = _send(server)
    share = 2 * rate / (rate_before + rate_after)
    is_whole = not lost_before + lost + lost_after
    return Outcome(
        f"{share:.2f} of {(rate_before + rate_after) / 2:.0f} events/s, {crowd.opened} opened",
        f"health {health.slowest_s * 1000:.0f} ms, {before.slowest_s * 1000:.0f} without",
        health.slowest_s <= MAX_HEALTH_S and share >= MIN_RATE and is_whole,
    )


def _send(server: Server, events: int = EVENTS) -> tuple[float, int]:
    """Return how many events a second were accepted, and how many were not accepted."""
    url = f"{server.url}/api/{PROJECT}/envelope/?sentry_key={KEY}"
    sizes = ["--connections", str(CLIENTS), "--events", str(events)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--url", url, *sizes],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["accepted_per_s"]), events - int(found["accepted"])


ATTACKS = [Attack("400 connections that send or read no more", crowd_out)]
