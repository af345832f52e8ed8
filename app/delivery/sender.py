"""Senders: a thread for each connection, that sends one envelope and waits to be given the next.

The next one is given only when the last one is settled. So a process that is killed leaves at most
as many envelopes sent and not settled, to be sent again, as it has connections.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sentry_sdk

from app.db import utc_now
from app.delivery.client import DEADLINE_S, Connection, stamped
from app.delivery.policy import Answer, Failure
from app.protocol.packing import unpack

log = logging.getLogger("app.tracker")


def uptime_s() -> float:
    """Return seconds of a clock that nobody sets and that runs while a machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Job:
    """What to send.

    :param token: comes back with the result.
    :param body: as stored, compressed.
    :param not_after: of :func:`uptime_s`; too late a job is given back, since another process may
        have its envelope by then.
    """

    token: Any
    body: bytes
    via: str | None
    not_after: float


@dataclass(frozen=True)
class Sent:
    """What became of a job.

    :param result: ``None`` when it was given back untried; ``damage`` says if it can't be sent.
    """

    token: Any
    result: Answer | Failure | None
    at: datetime
    ms: float
    damage: str | None = None


class Sender:
    """One connection and its thread.

    :param done: called on that thread with every result.
    """

    def __init__(self, connection: Connection, done: Callable[[Sender, Sent], None]) -> None:
        self._connection = connection
        self._done = done
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._began: float | None = None

    def give(self, job: Job) -> None:
        """Have a job sent; only when the last one's result was settled."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def abort_if_late(self) -> None:
        """End an exchange that has gone on for too long."""
        began = self._began
        if began is not None and time.monotonic() - began > DEADLINE_S:
            self._connection.abort()

    def end(self) -> None:
        """End the exchange that goes on, and send nothing more."""
        self._connection.end()

    def close(self) -> None:
        """End the thread after what it is sending."""
        self._jobs.put(None)

    def _run(self) -> None:
        with sentry_sdk.new_scope() as scope:
            # The SDK watches every HTTP client of the process: it would put breadcrumbs and spans
            # of ours beside the application's, and its trace headers into what we send on.
            scope.set_client(_unwatched())
            while (job := self._jobs.get()) is not None:
                self._done(self, self._result_of(job))
            self._connection.close()

    def _sent(self, job: Job) -> Sent:
        at, started = utc_now(), time.monotonic()
        if uptime_s() > job.not_after:
            return Sent(job.token, None, at, 0.0)
        try:
            body = stamped(unpack(job.body), at)
        except ValueError as damage:
            return Sent(job.token, None, at, 0.0, str(damage))
        self._began = started
        try:
            result = self._connection.send(body, job.via)
        finally:
            self._began = None
        return Sent(job.token, result, at, round((time.monotonic() - started) * 1000, 2))

    def _result_of(self, job: Job) -> Sent:
        try:
            return self._sent(job)
        except Exception as bug:
            # Whatever it is, it must not end the thread: the envelope is tried again.
            log.exception("an envelope could not be sent")
            return Sent(job.token, Failure(f"failed here: {type(bug).__name__}"), utc_now(), 0.0)


def _unwatched() -> sentry_sdk.Client:
    """A client without integrations; one that is not active would be passed over."""
    # An empty string, since for None the SDK reads SENTRY_DSN itself.
    return sentry_sdk.Client(dsn="", default_integrations=False, auto_enabling_integrations=False)
