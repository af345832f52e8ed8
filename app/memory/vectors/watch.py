"""How an index is, for whoever may not wait for it: health, status page, metrics."""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

from app.memory.vectors.errors import IndexFailure
from app.memory.vectors.index import Index, IndexState

# Probes come every second; what is older than this is asked for anew.
FRESH_S = 10.0
# An index that is well answers in a few milliseconds.
WAIT_S = 0.2


class Seen(NamedTuple):
    """What was seen of an index last.

    :param failure: why it does not work, in words; ``None`` while it does.
    :param state: what it said last, also when it does not answer any more.
    """

    failure: str | None
    state: IndexState | None

    @property
    def problem(self) -> str | None:
        """Why somebody should have a look, in words."""
        return self.failure or (self.state.warning if self.state else None)


class Watch:
    """Asks an index in a thread of its own, one at a time, and keeps what it answers."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._seen = Seen(None, None)
        self._until = float("-inf")
        self._asking: tuple[int, threading.Event] | None = None

    def see(self, wait_s: float = WAIT_S) -> Seen:
        """Return what is known, asking if that is old.

        :param wait_s: for how long, in seconds; then the answer before it has to do.
        """
        with self._lock:
            if time.monotonic() < self._until:
                return self._seen
            # One that was begun before a fork goes on in another process.
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
