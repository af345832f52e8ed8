"""The gate in front of an index: after a failure it stops calling the index for a moment.

An index that does not answer would delay every request by its whole timeout. With a closed gate,
only one call in a few seconds waits for it. All other calls fail at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from app.memory.observed import index_span
from app.memory.vectors.errors import IndexFailure, IndexMissing, IndexUnavailable
from app.memory.vectors.index import Index, Space

T = TypeVar("T")

# The longest time that the gate is closed. The index may ask for an hour (Retry-After) and still
# recover sooner.
MAX_CLOSED_S = 60


class Gate:
    """Calls one index for a process.

    :param lost: called when the index was created again and is therefore empty.
    """

    def __init__(self, index: Index, lost: Callable[[], None]) -> None:
        self.index = index
        self._lost = lost
        self._lock = threading.Lock()
        self._space: Space | None = None
        self._closed_until = float("-inf")
        self._cause: IndexFailure | None = None
        self._failures = 0

    @property
    def failure(self) -> IndexFailure | None:
        """The failure that closed the gate, ``None`` while it is open."""
        return self._cause if time.monotonic() < self._closed_until else None

    def call(
        self, operation: str, space: Space, function: Callable[[], T], *, knocks: bool = False
    ) -> T:
        """Prepare the index for a space, call a function and return its result.

        :param operation: name of the operation, for the span.
        :param function: calls the index.
        :param knocks: call the index even if the gate is closed, as the background task does.
        :raise IndexFailure: the call failed, or the gate is closed after an earlier failure.
        """
        # Read the counter first. If the gate is open then, a later failure changes the counter.
        failures, cause = self._failures, self.failure
        if cause is not None and not knocks:
            left = max(1, round(self._closed_until - time.monotonic()))
            raise IndexUnavailable(str(cause), left) from cause
        try:
            with index_span(self.index.system, operation):
                result = self._ready(space, function, failures)
        except IndexFailure as error:
            self._close(error)
            raise
        self._closed_until = float("-inf")
        return result

    def _ready(self, space: Space, function: Callable[[], T], failures: int) -> T:
        self._prepare(space, failures)
        try:
            return function()
        except IndexMissing:
            self._space = None
            self._prepare(space, self._failures)
            return function()

    def _prepare(self, space: Space, failures: int) -> None:
        if self._space == space:
            return
        with self._lock:
            # A thread that waited while the call of another thread failed does not try again.
            if self._failures != failures and self._cause is not None:
                raise IndexUnavailable(str(self._cause)) from self._cause
            if self._space == space:
                return
            try:
                if self.index.prepare(space):
                    self._lost()
            except IndexFailure as error:
                self._close(error)
                raise
            self._space = space

    def _close(self, error: IndexFailure) -> None:
        self._failures += 1
        self._cause = error
        self._closed_until = time.monotonic() + min(error.retry_after_s, MAX_CLOSED_S)
