"""The thread that keeps memories up, in whichever process holds the lease."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from app.db import Store, StoreError
from app.intake import recording
from app.leases import claim, release
from app.memory.upkeep import Upkeep
from app.vectors.errors import VectorError

log = logging.getLogger("app.tracker")

LEASE = "memories"
# How soon what an index missed is made up for, after it answers again.
POLL_S = 5.0
# Longer than a turn.
LASTS = timedelta(seconds=90)
# How often a failure that goes on is told.
TELL_EVERY_S = 60.0


class MemoryLoop:
    """One for a process; its thread begins with :meth:`start`, after any fork.

    :param owner: of the lease, as :func:`app.leases.new_owner` makes it.
    """

    def __init__(self, store: Store, upkeep: Upkeep, owner: str) -> None:
        self._store = store
        self._upkeep = upkeep
        self._owner = owner
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="memories", daemon=True)
        self._held_until = self._tells_at = float("-inf")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Have it begin nothing more."""
        self._stopping.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Begin nothing more, wait for the bite that it is at, and give the lease back."""
        self.finish()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Be the loop until :meth:`stop`."""
        while not self._stopping.wait(POLL_S):
            self.run_once()
        if self._held_until > time.monotonic():
            try:
                release(self._store, LEASE, self._owner)
            except StoreError as error:
                log.warning("the lease of memories runs out by itself: %s", error)

    def run_once(self) -> bool:
        """Do what is due, if this process holds the lease; return whether it does."""
        with recording():
            try:
                if not self._is_holder():
                    return False
                self._upkeep.turn(self._stopping.is_set)
            except VectorError as error:
                self._tell(error)
            except StoreError as error:
                log.warning("the store does not answer the upkeep of memories: %s", error)
            except Exception:
                log.exception("the upkeep of memories failed, it goes on")
        return True

    def _is_holder(self) -> bool:
        now, lasts = time.monotonic(), LASTS.total_seconds()
        # Renewed when half of it is gone: a write each turn would only say the same.
        if self._held_until - now < lasts / 2:
            mine = claim(self._store, LEASE, self._owner, LASTS)
            self._held_until = now + lasts if mine else float("-inf")
        return self._held_until > now

    def _tell(self, error: VectorError) -> None:
        now = time.monotonic()
        if now >= self._tells_at:
            self._tells_at = now + TELL_EVERY_S
            log.warning("memories wait for the index or the embedder: %s", error)
