"""Requests that are answered in batches, in one thread of the process.

A thread of the pool answers one request at a time. Several of them hand the interpreter's lock on
at every statement and every write to the disk. One thread that takes what has arrived needs none of
that, and the requests of a batch share a transaction.

The thread starts with the first request, so after every fork. If it ends by an error, its requests
get 503, and the next request or the next sweep of the event loop starts it again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from gunicorn import util

MAX_BATCH = 16
# A batch is closed after this time, so that its first request does not wait for many large ones.
BATCH_S = 0.02
# After a batch of several requests, the next one waits this long: those who were just answered send
# their next request. A client that sends alone never waits.
GATHER_S = 0.001
# Larger bodies are answered by a thread of the pool, so that no batch waits for them.
MAX_BODY_BYTES = 256 * 1024


class Complete(NamedTuple):
    """A complete request. ``headers`` has upper-case names; repeated ones are joined by a comma."""

    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    client: str


class Answer(NamedTuple):
    """An answer: ``status`` is ``200 OK``, ``headers`` are lines that each end with CRLF."""

    status: str
    headers: bytes
    body: bytes


class Batches(Protocol):
    """What answers requests in batches."""

    def takes(self, method: str, path: str) -> bool:
        """Return whether requests with this method and path are answered in batches."""

    def answer(self, requests: Iterable[Complete]) -> list[Answer | None]:
        """Return an answer for each request, ``None`` where a thread of the pool has to answer."""


class BatchThread:
    """The thread that answers requests in batches.

    :param batches: answers the requests.
    :param read: returns the complete request of a connection.
    :param done: gets the connections of a batch and their answers, ``None`` if the batch failed. It
        must not wait.
    :param report: called with each error of ``batches``.
    """

    def __init__(
        self,
        batches: Batches,
        read: Callable[[Any], Complete],
        done: Callable[[list[Any], list[Answer | None] | None], None],
        report: Callable[[str], None],
    ) -> None:
        self._batches, self._read, self._done, self._report = batches, read, done, report
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def takes(self, connection: Any) -> bool:
        """Return whether the complete request of a connection is answered in a batch."""
        if connection.error is not None or connection.size > MAX_BODY_BYTES:
            return False
        return self._batches.takes(connection.request.method, connection.request.path)

    def put(self, connection: Any) -> None:
        """Add a connection with a complete request."""
        self._queue.put(connection)
        self.keep_running()

    def keep_running(self) -> None:
        """Start the thread if requests wait and it does not run."""
        if self._thread is None or not self._thread.is_alive():
            if self._thread is None or not self._queue.empty():
                self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread after the requests that wait."""
        self._queue.put(None)

    def _run(self) -> None:
        taken: list[Any] = []
        while (first := self._queue.get()) is not None:
            if len(taken) > 1:
                time.sleep(GATHER_S)
            taken = []
            answers: list[Answer | None] | None = None
            try:
                answers = self._batches.answer(self._requests(first, taken))
            except Exception:
                self._report("a batch of requests failed")
            finally:
                # Nobody knows what an error left undone, so no request of the batch is tried again.
                self._done(taken, answers)

    def _requests(self, first: Any, taken: list[Any]) -> Iterator[Complete]:
        """Yield the waiting requests, and note their connections in ``taken``."""
        end = time.monotonic() + BATCH_S
        connection = first
        while True:
            taken.append(connection)
            yield self._read(connection)
            if len(taken) >= MAX_BATCH or time.monotonic() > end:
                return
            try:
                connection = self._queue.get_nowait()
            except queue.Empty:
                return
            if connection is None:
                self._queue.put(None)
                return


def wire_bytes(answer: Answer, stays_open: bool) -> bytes:
    """Return the bytes of an answer, with the headers that gunicorn adds to every answer."""
    head = (
        f"HTTP/1.1 {answer.status}\r\nServer: gunicorn\r\nDate: {_date(int(time.time()))}\r\n"
        f"Connection: {'keep-alive' if stays_open else 'close'}\r\n"
    )
    return b"".join((head.encode(), answer.headers, b"\r\n", answer.body))


@lru_cache(1)
def _date(second: int) -> str:
    return str(util.http_date(second))
