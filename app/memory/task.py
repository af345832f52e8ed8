"""The thread that keeps memories up, in whichever process holds the lease."""

from __future__ import annotations

import logging
import time

from app.memory.upkeep import Upkeep
from app.memory.vectors.errors import VectorError
from app.store import Store
from app.store.leased_task import LeasedTask

log = logging.getLogger("app.tracker")

# How often a failure that goes on is told.
LOG_EVERY_S = 60.0


class MemoryTask(LeasedTask):
    """One for a process."""

    name = "memories"
    # How soon what an index missed is made up for, after it answers again.
    poll_s = 5.0

    def __init__(self, store: Store, upkeep: Upkeep, owner: str) -> None:
        super().__init__(store, owner)
        self._upkeep = upkeep
        self._logs_at = float("-inf")

    def work(self) -> None:
        """Sweep, embed, index and remove what is due."""
        try:
            self._upkeep.work(self.stopping.is_set)
        except VectorError as error:
            now = time.monotonic()
            if now >= self._logs_at:
                self._logs_at = now + LOG_EVERY_S
                log.warning("memories wait for the index or the embedder: %s", error)
