"""The threads that answer requests: gunicorn's pool, one for probes and one for large requests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from gunicorn.http import wsgi

from app.server.connections import IN_MEMORY_BYTES, Connection, State

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

PROBES = "/health"
# After a large request, the next one waits this many times as long as that one took. Parsing 10 MB
# holds the interpreter for 0.1 s. Without the rest, a client that sends 10 MB again and again made
# the 99th percentile of others three to five times as long; with it, 1.4 to 1.7 times.
LARGE_REST, MAX_REST_S = 6.0, 2.0

#: A check of a request's head. It gets a WSGI environment without the body, and how many bytes of
#: the body have arrived or were announced. It returns the answer if that does not depend on the
#: body, or else how many bytes the body may have.
HeadCheck = Callable[["WSGIEnvironment", int], "WSGIApplication | int"]


def allow_all(environ: WSGIEnvironment, received: int) -> int:
    """Allow a body of any length. The bounds on kept bytes still apply."""
    return 2**62


class Outcome(NamedTuple):
    """What a thread did with a request.

    :param stays_open: whether the connection stays open after the answer.
    :param max_bytes: how many bytes the body may have, if only the head was checked; ``None`` if
        the request was answered.
    """

    stays_open: bool = False
    max_bytes: int | None = None


class RequestThreads:
    """The threads of one web process.

    :param worker: gunicorn's worker.
    :param check: checks the head of a request before its body is complete.
    :param done: called in the event loop with a connection and what a thread did with its request.
    """

    def __init__(
        self, worker: Any, check: HeadCheck, done: Callable[[Connection, Outcome], None]
    ) -> None:
        self._worker, self._check, self._done = worker, check, done
        self._stopping = threading.Event()
        # Large requests are processed one at a time, without delaying the threads of all others.
        self._large_pool = ThreadPoolExecutor(1, "large")
        # Probes must not queue behind pages: a probe has to be answered at once.
        self._probe_pool = ThreadPoolExecutor(1, "probes")

    def answer(self, connection: Connection) -> None:
        """Answer a complete request."""
        is_large = connection.size > IN_MEMORY_BYTES
        self._submit(connection, self._answer, is_large=is_large)

    def check(self, connection: Connection) -> None:
        """Check the head of a request whose body is not complete, and answer what fails."""
        self._submit(connection, self._check_head, is_large=False)

    def hurry(self) -> None:
        """Let large requests follow each other at once, because the process stops."""
        self._stopping.set()

    def stop(self) -> None:
        """Take no more requests."""
        self._large_pool.shutdown(wait=False)
        self._probe_pool.shutdown(wait=False)
        self._worker.tpool.shutdown(wait=False)

    def _submit(
        self, connection: Connection, work: Callable[[Connection], Outcome], *, is_large: bool
    ) -> None:
        connection.state = State.THREAD
        if connection.request is not None and connection.request.path.startswith(PROBES):
            self._probe_pool.submit(self._run, connection, work)
        elif is_large:
            self._large_pool.submit(self._run_large, connection, work)
        else:
            self._worker.tpool.submit(self._run, connection, work)

    def _run_large(self, connection: Connection, work: Callable[[Connection], Outcome]) -> None:
        started = time.monotonic()
        self._run(connection, work)
        # The next large request waits, so that small requests of others get their share.
        self._stopping.wait(min(MAX_REST_S, LARGE_REST * (time.monotonic() - started)))

    def _run(self, connection: Connection, work: Callable[[Connection], Outcome]) -> None:
        outcome = Outcome()
        try:
            outcome = work(connection)
        except OSError:
            connection.sock.is_cut = True
        except Exception:
            self._worker.log.exception("a request failed")
            connection.sock.is_cut = True
        # The pool may still work after the loop has ended. Then nothing waits for this outcome.
        with contextlib.suppress(Exception):
            self._worker.method_queue.defer(self._done, connection, outcome)

    def _answer(self, connection: Connection) -> Outcome:
        stays_open = bool(self._worker.handle(connection))
        connection.sock.flush()
        return Outcome(stays_open and connection.error is None and not connection.sock.is_cut)

    def _check_head(self, connection: Connection) -> Outcome:
        worker, started = self._worker, datetime.now()
        response, environ = wsgi.create(
            connection.request, connection.sock, connection.client, connection.server, worker.cfg
        )
        verdict = self._check(environ, connection.received)
        if isinstance(verdict, int):
            return Outcome(max_bytes=verdict)
        response.force_close()
        body: Iterable[bytes] = verdict(environ, response.start_response)
        try:
            for piece in body:
                response.write(piece)
            response.close()
        finally:
            worker.log.access(response, connection.request, environ, datetime.now() - started)
            if hasattr(body, "close"):
                body.close()
        connection.sock.flush()
        return Outcome()
