"""Ends bodies that come too slowly, because each of them holds one of the process's few threads.

A thread that waits in ``recv`` cannot look at the clock, and a byte a second keeps any time-out of
the socket itself from passing. So another thread does: it shuts the reading half of the socket,
``recv`` returns the end of the stream, and the answer still goes out over the other half.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# A phone that sends 20 MiB needs 5 Mbit/s for that.
READ_TIMEOUT_S = 30.0
# With all but one of gunicorn's eight threads waiting for bodies, those give way that send next to
# nothing; an ordinary event comes whole with its headers.
CROWD = 7
GRACE_S = 0.5
MIN_BYTES_PER_S = 16 * 1024
CHECK_EVERY_S = 0.1


@dataclass(eq=False)
class Reading:
    """A body that is being read: ``received`` bytes so far, ``expired`` once its time was up."""

    sock: socket.socket | None
    started: float = field(default_factory=time.monotonic)
    received: int = 0
    expired: bool = False

    def is_overdue(self, now: float, is_crowded: bool) -> bool:
        """Whether it has to end."""
        lasts_s = now - self.started
        is_slow = self.received < MIN_BYTES_PER_S * lasts_s
        return lasts_s > (GRACE_S if is_crowded and is_slow else READ_TIMEOUT_S)

    def expire(self) -> None:
        """End it."""
        self.expired = True
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RD)
            except OSError:
                return  # The client is gone already.


class Patience:
    """Watches the bodies that one process reads; its thread lives while there are some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: set[Reading] = set()
        self._pid = 0

    @contextmanager
    def reading(self, sock: socket.socket | None) -> Iterator[Reading]:
        """Watch a body for as long as it is read.

        :param sock: what it comes from; ``None`` where there is no socket, as in tests.
        """
        reading = Reading(sock)
        with self._lock:
            self._readings.add(reading)
            # By process, since threads do not survive a fork.
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._watch, name="ingest-patience", daemon=True).start()
        try:
            yield reading
        finally:
            with self._lock:
                self._readings.discard(reading)

    def _watch(self) -> None:
        while True:
            time.sleep(CHECK_EVERY_S)
            with self._lock:
                if not self._readings:
                    self._pid = 0
                    return
                self._end_overdue()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        is_crowded = len(self._readings) >= CROWD
        for reading in self._readings:
            if not reading.expired and reading.is_overdue(now, is_crowded):
                reading.expire()


patience = Patience()
