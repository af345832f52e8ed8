"""The task for the upkeep of memories, in the process that holds the lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.memory.queries import has_any
from app.memory.vectors.errors import VectorError
from app.store import Store
from app.store.leased_task import LeasedTask

if TYPE_CHECKING:
    from app.memory.service import Memories
    from app.memory.upkeep import Upkeep

log = logging.getLogger("app.tracker")

# How often a failure that continues is logged.
LOG_EVERY_S = 60.0


class MemoryTask(LeasedTask):
    """The memory task of a process."""

    name = "memories"
    # How soon missed writes are repeated after an index answers again.
    poll_s = 5.0

    def __init__(self, store: Store, owner: str, memories: Callable[[], Memories]) -> None:
        super().__init__(store, owner)
        self._memories = memories
        self._upkeep: Upkeep | None = None
        self._logs_at = float("-inf")

    def work(self) -> None:
        """Sweep expired memories, embed and index memories, and remove from the index."""
        upkeep = self._upkeep or self._begin()
        if upkeep is None:
            return
        try:
            upkeep.work(self.stopping.is_set)
        except VectorError as error:
            now = time.monotonic()
            if now >= self._logs_at:
                self._logs_at = now + LOG_EVERY_S
                log.warning("memories wait for the index or the embedder: %s", error)

    def _begin(self) -> Upkeep | None:
        """Return the upkeep, ``None`` while there are no memories."""
        with self.store.read() as conn:
            if not has_any(conn):
                return None
        from app.memory.upkeep import Upkeep

        self._upkeep = Upkeep(self._memories())
        return self._upkeep
