"""A leased task that rests between two batches, so that events and pages come first."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.store.leased_task import LeasedTask

# A run ends after this time, so that it is over before the lease is. The next run goes on.
RUN_S = 20.0
# Between two batches the task rests this many times as long as the batch took: under a flood it
# takes a quarter of a core, and catches up later.
REST = 3.0
LEAST_REST_S, MOST_REST_S = 0.02, 0.5


class RestingTask(LeasedTask):
    """Does its work in batches, and rests after each of them."""

    poll_s = 2.0

    def work(self) -> None:
        """Do the batches that are due, for at most :data:`RUN_S`."""
        self._resumed_at = time.monotonic()
        ends = self._resumed_at + RUN_S
        self.work_in_batches(lambda: self._goes_on(ends))

    def work_in_batches(self, goes_on: Callable[[], bool]) -> None:
        """Do the batches that are due.

        :param goes_on: to be called before each batch. It rests, and returns ``False`` when the run
            is over.
        """
        raise NotImplementedError

    def _goes_on(self, ends: float) -> bool:
        rest = REST * (time.monotonic() - self._resumed_at)
        is_stopping = self.stopping.wait(min(max(rest, LEAST_REST_S), MOST_REST_S))
        self._resumed_at = time.monotonic()
        return not is_stopping and self._resumed_at < ends
