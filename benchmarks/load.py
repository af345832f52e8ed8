"""Load for the ingest routes: kept-alive connections send ordinary envelopes of many bugs.

    python -m benchmarks.load --url 'http://127.0.0.1:8000/api/1/envelope/?sentry_key=…'

prints one JSON object. No event is sent twice. If a dying server cuts the connection, the event
counts as `cut`, and it is unknown whether it was stored. An event that was answered with 200 and
its id must never be lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from benchmarks.envelopes import ENCODE, SHAPES, envelopes

RECONNECT_S = 0.05
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """The load to send.

    :param url: with the key: ``http://host:port/api/<project>/envelope/?sentry_key=<key>``.
    :param per_second: events a second; 0 means as fast as the answers come.
    :param bugs: how many bugs the events are of.
    :param ids_file: the id of each event that was answered 200 is appended at once.
    :param patience_s: how long a connection keeps trying a server that refuses it.
    """

    url: str
    connections: int = 16
    events: int = 2000
    bugs: int = 200
    encoding: str = "gzip"
    shape: str = "ordinary"
    per_second: float = 0.0
    ids_file: Path | None = None
    patience_s: float = 60.0
    timeout_s: float = 30.0


@dataclass
class Answers:
    """The answers.

    ``counts`` has the numbers of answers by status, and of ``wrong id`` (200 without the event's
    id), ``cut`` (the connection ended before the answer) and ``unsent`` (no connection).
    ``latencies_ms`` are from the first byte of the request to the last byte of the answer.
    """

    counts: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    accepted_ids: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return counts, rate and latencies as a JSON object."""
        accepted = len(self.accepted_ids)
        return {
            "counts": dict(self.counts),
            "accepted": accepted,
            "seconds": round(self.seconds, 3),
            "accepted_per_s": round(accepted / self.seconds, 1) if self.seconds else 0.0,
            "latency_ms": percentiles(self.latencies_ms),
        }


def percentiles(values: list[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile and maximum; nothing if there are no values."""
    if not values:
        return {}
    cuts = statistics.quantiles([*values, max(values)], n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def run(load: Load) -> Answers:
    """Send the load from threads of this process; the bodies are made before the clock starts."""
    return _Run(load).run()


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._url = urlsplit(load.url)
        self._answers = Answers()
        self._lock = threading.Lock()
        made = envelopes(load.events, load.bugs, load.encoding, load.shape)
        self._queue = iter(list(enumerate(made)))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._ids_fd = os.open(load.ids_file, flags, 0o600) if load.ids_file else None

    def run(self) -> Answers:
        threads = [threading.Thread(target=self._send) for _ in range(self._load.connections)]
        self._started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            self._show_progress_until_done(thread)
        self._answers.seconds = time.monotonic() - self._started
        if self._ids_fd is not None:
            os.close(self._ids_fd)
        return self._answers

    def _show_progress_until_done(self, thread: threading.Thread) -> None:
        while thread.is_alive():
            thread.join(0.5)
            if sys.stderr.isatty():
                done = self._answers.counts.total()
                end = "\n" if done == self._load.events else ""
                print(f"\r  {done} of {self._load.events}", end=end, file=sys.stderr, flush=True)

    def _send(self) -> None:
        with contextlib.closing(_Line(self._url, self._load)) as line:
            for event_id, body in self._due():
                outcome, ms = line.post(event_id, body)
                self._note(event_id, outcome, ms)

    def _due(self) -> Iterator[tuple[str, bytes]]:
        """Yield the next events that no other thread has taken, each when it is due."""
        while True:
            with self._lock:
                number, envelope = next(self._queue, (0, None))
            if envelope is None:
                return
            if self._load.per_second:
                due = self._started + number / self._load.per_second
                time.sleep(max(0.0, due - time.monotonic()))
            yield envelope

    def _note(self, event_id: str, outcome: str, ms: float | None) -> None:
        if outcome == "200" and self._ids_fd is not None:
            os.write(self._ids_fd, f"{event_id}\n".encode())
        with self._lock:
            self._answers.counts[outcome] += 1
            if outcome == "200":
                self._answers.accepted_ids.append(event_id)
            if ms is not None:
                self._answers.latencies_ms.append(ms)


class _Line:
    """A kept-alive connection; it is opened again if the server closes it.

    The client is written by hand: an event costs 90 us of CPU with it and 160 us with http.client,
    on cores that the server under test also uses.
    """

    def __init__(self, url: SplitResult, load: Load) -> None:
        self._address = url.hostname or "127.0.0.1", url.port or 80
        self._load = load
        self._socket: socket.socket | None = None
        self._head = (
            f"POST {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
            "User-Agent: devenviro-load\r\nContent-Type: application/x-sentry-envelope\r\n"
            f"Content-Encoding: {load.encoding}\r\nContent-Length: "
        ).encode()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def post(self, event_id: str, body: bytes) -> tuple[str, float | None]:
        """Send an envelope at most once; return its outcome and the milliseconds."""
        if not self._connect():
            return "unsent", None
        started = time.perf_counter()
        try:
            status, told = self._exchange(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        except OSError:
            self.close()
            return "cut", None
        return _outcome(status, told, event_id), (time.perf_counter() - started) * 1000

    def _connect(self) -> bool:
        deadline = time.monotonic() + self._load.patience_s
        while self._socket is None:
            try:
                self._socket = socket.create_connection(self._address, self._load.timeout_s)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(RECONNECT_S)
        return True

    def _exchange(self, request: bytes) -> tuple[int, bytes]:
        assert self._socket is not None
        self._socket.sendall(request)
        head, _, told = self._receive(b"", lambda got: b"\r\n\r\n" in got).partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None:
            raise ConnectionError("an answer without Content-Length is not read here")
        told = self._receive(told, lambda got: len(got) >= int(length[1]))
        if CLOSES.search(head):
            self.close()
        return int(head.split(b" ", 2)[1]), told

    def _receive(self, got: bytes, is_whole: Callable[[bytes], bool]) -> bytes:
        assert self._socket is not None
        while not is_whole(got):
            more = self._socket.recv(65_536)
            if not more:
                raise ConnectionError("the server ended the connection")
            got += more
        return got


def _outcome(status: int, told: bytes, event_id: str) -> str:
    if status != 200:
        return str(status)
    try:
        return "200" if json.loads(told)["id"] == event_id else "wrong id"
    except (ValueError, KeyError, TypeError):
        return "wrong id"


def main() -> None:
    """Send the load, and print the summary of the answers as one JSON object."""
    default = Load("")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    say = parser.add_argument
    say("--url", required=True, help="http://HOST:PORT/api/PROJECT/envelope/?sentry_key=KEY")
    say("--connections", type=int, default=default.connections, help="kept alive (%(default)s)")
    say("--events", type=int, default=default.events, help="how many (%(default)s)")
    say("--bugs", type=int, default=default.bugs, help="of how many bugs (%(default)s)")
    say("--encoding", choices=sorted(ENCODE), default=default.encoding, help="(%(default)s)")
    say("--shape", choices=sorted(SHAPES), default=default.shape, help="(%(default)s)")
    say("--per-second", type=float, default=0.0, help="events; 0: as fast as answers come")
    say("--ids-file", type=Path, help="append the id of each event that got its 200, at once")
    say("--patience-s", type=float, default=default.patience_s, help="for a server that is down")
    say("--timeout-s", type=float, default=default.timeout_s, help="for an answer (%(default)s)")
    answers = run(Load(**vars(parser.parse_args())))
    print(json.dumps(answers.summary()))


if __name__ == "__main__":
    main()
