"""The thread that keeps memories up, in whichever process holds the lease."""

from __future__ import annotations

import logging
import time

from app.memory.upkeep import Upkeep
from app.memory.vectors.errors import VectorError
from app.store import Store
from app.store.leased_task import LeasedLoop

log = logging.getLogger("app.tracker")

# How often a failure that goes on is told.
TELL_EVERY_S = 60.0


class MemoryLoop(LeasedLoop):
    """One for a process."""

    name = "memories"
    # How soon what an index missed is made up for, after it answers again.
    poll_s = 5.0

    def __init__(self, store: Store, upkeep: Upkeep, owner: str) -> None:
        super().__init__(store, owner)
        self._upkeep = upkeep
        self._tells_at = float("-inf")

    def turn(self) -> None:
        """Sweep, embed, index and remove what is due."""
        try:
            self._upkeep.turn(self.stopping.is_set)
        except VectorError as error:
            now = time.monotonic()
            if now >= self._tells_at:
                self._tells_at = now + TELL_EVERY_S
                log.warning("memories wait for the index or the embedder: %s", error)
