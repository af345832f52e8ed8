"""A thread that does some work repeatedly, in the one process that holds the lease for it."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from app.store.database import Store
from app.store.errors import StoreError
from app.store.leases import claim, release
from app.store.recording import recording

log = logging.getLogger("app.tracker")


class LeasedTask:
    """A task with one thread in each process. :meth:`start` starts the thread, after any fork.

    :param owner: the owner of the lease, from :func:`app.store.leases.new_owner`.
    """

    # The name of the lease and the thread, also used in the log.
    name: str
    # The seconds between two runs. A process that was killed is replaced within this time, too.
    poll_s: float
    # How long the lease is valid. It must be longer than a run.
    lasts = timedelta(seconds=90)

    def __init__(self, store: Store, owner: str) -> None:
        self.store = store
        self.stopping = threading.Event()
        self._owner = owner
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._held_until = float("-inf")

    def work(self) -> None:
        """Do the work that is due."""
        raise NotImplementedError

    def wait_for_lease(self) -> None:
        """Do what a process does in each round in which another one holds the lease: nothing."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self) -> None:
        """Prevent further runs."""
        self.stopping.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Prevent further runs, wait for the current one, and release the lease.

        :param timeout_s: seconds to wait for the thread.
        """
        self.finish()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Run the task repeatedly until :meth:`stop`."""
        while not self.stopping.wait(self.poll_s):
            self.run_once()
        if self._held_until > time.monotonic():
            try:
                release(self.store, self.name, self._owner)
            except StoreError as error:
                log.warning("the lease of %s runs out by itself: %s", self.name, error)

    def run_once(self) -> bool:
        """Do the work that is due if this process holds the lease. Return whether it holds it."""
        with recording():
            try:
                if not self._is_holder():
                    self.wait_for_lease()
                    return False
                self.work()
            except StoreError as error:
                log.warning("the store does not answer the loop of %s: %s", self.name, error)
            except Exception:
                log.exception("the loop of %s failed, it goes on", self.name)
        return True

    def _is_holder(self) -> bool:
        now, lasts = time.monotonic(), self.lasts.total_seconds()
        # Renew the lease when half of its time is over: a write in each run would add nothing.
        if self._held_until - now < lasts / 2:
            mine = claim(self.store, self.name, self._owner, self.lasts)
            self._held_until = now + lasts if mine else float("-inf")
        return self._held_until > now
