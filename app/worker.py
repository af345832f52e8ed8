"""The background loop of a serving process: take in what was set aside, prune once an hour.

Started by the server after the fork, ended before the process exits; `flask worker` is nothing but
this loop, for another process or host. What only one may do, it does under a lease.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from datetime import timedelta

from app.db import StoreError
from app.intake import recording
from app.leases import claim
from app.retention import Limits, prune
from app.services import Services

log = logging.getLogger("app.tracker")

PERIOD_S = 10.0
RETENTION_EVERY = timedelta(hours=1)


class Worker:
    """One thread that does what has to be done besides answering."""

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the loop and store what still waits in memory."""
        self._stop.set()
        self._thread.join(timeout_s)
        self._parts.intake.close()

    def run_forever(self) -> None:
        """Be the loop of a process of its own, until :meth:`finish` is called."""
        self._run()
        self._parts.intake.close()

    def finish(self) -> None:
        """Have :meth:`run_forever` return; safe to call from a signal handler."""
        self._stop.set()

    def run_once(self) -> None:
        """Do everything that is due."""
        with recording():
            try:
                if self._parts.intake.emergency.count():
                    self._parts.store.open()
                    self._parts.intake.take_in()
                if claim(self._parts.store, "retention", self.owner, RETENTION_EVERY):
                    prune(self._parts.store, Limits.of(self._parts.config))
            except StoreError as error:
                log.warning("the store does not answer the background loop: %s", error)
            except Exception:
                log.exception("the background loop failed, it goes on")

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.run_once()
