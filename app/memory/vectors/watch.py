"""The state of an index for callers that must not wait for it: health, status page, metrics."""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

from app.memory.vectors.errors import IndexFailure
from app.memory.vectors.index import Index, IndexState

# Probes come every second. A state older than this is read again.
FRESH_S = 10.0
# A healthy index answers in a few milliseconds.
WAIT_S = 0.2


class Seen(NamedTuple):
    """The last known state of an index.

    :param failure: in words why it does not work; ``None`` if it works.
    :param state: its last answer, kept even if it does not answer any more.
    """

    failure: str | None
    state: IndexState | None

    @property
    def problem(self) -> str | None:
        """In words why a person should look at the index, ``None`` if there is no problem."""
        return self.failure or (self.state.warning if self.state else None)


class Watch:
    """Checks an index in a separate thread, one check at a time, and keeps the answer."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._seen = Seen(None, None)
        self._until = float("-inf")
        self._asking: tuple[int, threading.Event] | None = None

    def see(self, wait_s: float = WAIT_S) -> Seen:
        """Return the state of the index. If it is old, check the index first.

        :param wait_s: the longest wait for the check in seconds. After it, the old state is
            returned.
        """
        with self._lock:
            if time.monotonic() < self._until:
                return self._seen
            # A check that began before a fork runs in another process.
            if self._asking is None or self._asking[0] != os.getpid():
                self._asking = (os.getpid(), threading.Event())
                threading.Thread(target=self._ask, args=(self._asking[1],), daemon=True).start()
            answered = self._asking[1]
        answered.wait(wait_s)
        return self._seen

    def _ask(self, answered: threading.Event) -> None:
        seen = Seen("it could not be asked", self._seen.state)
        try:
            seen = Seen(None, self._index.check())
        except IndexFailure as failure:
            seen = Seen(str(failure), self._seen.state)
        finally:
            with self._lock:
                self._seen, self._asking = seen, None
                self._until = time.monotonic() + FRESH_S
            answered.set()
