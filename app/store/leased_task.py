"""A thread that does something again and again, in whichever process holds the lease for it."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from app.store.database import Store, StoreError
from app.store.leases import claim, release
from app.store.recording import recording

log = logging.getLogger("app.tracker")


class LeasedTask:
    """One for a process; its thread begins with :meth:`start`, after any fork.

    :param owner: of the lease, as :func:`app.store.leases.new_owner` makes it.
    """

    # Of the lease and the thread, and what the log calls it.
    name: str
    # How soon what came up is done, and how soon a killed holder is relieved.
    poll_s: float
    # How long the lease is good for: longer than a turn.
    lasts = timedelta(seconds=90)

    def __init__(self, store: Store, owner: str) -> None:
        self.store = store
        self.stopping = threading.Event()
        self._owner = owner
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._held_until = float("-inf")

    def work(self) -> None:
        """Do what is due."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Have it begin nothing more."""
        self.stopping.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Begin nothing more, wait for what it is at, and give the lease back."""
        self.finish()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Be the loop until :meth:`stop`."""
        while not self.stopping.wait(self.poll_s):
            self.run_once()
        if self._held_until > time.monotonic():
            try:
                release(self.store, self.name, self._owner)
            except StoreError as error:
                log.warning("the lease of %s runs out by itself: %s", self.name, error)

    def run_once(self) -> bool:
        """Do what is due, if this process holds the lease; return whether it does."""
        with recording():
            try:
                if not self._is_holder():
                    return False
                self.work()
            except StoreError as error:
                log.warning("the store does not answer the loop of %s: %s", self.name, error)
            except Exception:
                log.exception("the loop of %s failed, it goes on", self.name)
        return True

    def _is_holder(self) -> bool:
        now, lasts = time.monotonic(), self.lasts.total_seconds()
        # Renewed when half of it is gone: a write each turn would only say the same.
        if self._held_until - now < lasts / 2:
            mine = claim(self.store, self.name, self._owner, self.lasts)
            self._held_until = now + lasts if mine else float("-inf")
        return self._held_until > now
