"""The thread that evaluates and sends, in whichever process holds the lease."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from app.alerts.courier import Courier
from app.alerts.evaluation import Evaluator
from app.alerts.notices import KEPT, forget_before
from app.db import Store, StoreError, utc_now
from app.intake import recording
from app.leases import claim, release

log = logging.getLogger("app.tracker")

LEASE = "alerts"
# How soon a notice that is due is sent, and how soon a killed holder is relieved.
POLL_S = 2.0
# Longer than a turn, which ends early when channels are slow.
LASTS = timedelta(seconds=90)
FORGET_EVERY_S = 3600.0


class AlertLoop:
    """One for a process; its thread begins with :meth:`start`, after any fork.

    :param owner: of the lease, as :func:`app.leases.new_owner` makes it.
    """

    def __init__(
        self, store: Store, courier: Courier, evaluator: Evaluator, every_s: float, owner: str
    ) -> None:
        self._store = store
        self._courier = courier
        self._evaluator = evaluator
        self._every_s = every_s
        self._owner = owner
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="alerts", daemon=True)
        self._held_until = self._evaluates_at = self._forgets_at = float("-inf")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Have it begin nothing more."""
        self._stopping.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Begin nothing more, wait for what is being sent, and give the lease back.

        What takes longer is sent again by whoever comes next.
        """
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
                log.warning("the lease of alerts runs out by itself: %s", error)

    def run_once(self) -> bool:
        """Do what is due, if this process holds the lease; return whether it does."""
        with recording():
            try:
                if not self._is_holder():
                    return False
                self._evaluate()
                self._courier.send_due(self._stopping)
            except StoreError as error:
                log.warning("the store does not answer alerts: %s", error)
            except Exception:
                log.exception("alerts failed, they go on")
        return True

    def _is_holder(self) -> bool:
        now, lasts = time.monotonic(), LASTS.total_seconds()
        # Renewed when half of it is gone: a write each turn would only say the same.
        if self._held_until - now < lasts / 2:
            mine = claim(self._store, LEASE, self._owner, LASTS)
            self._held_until = now + lasts if mine else float("-inf")
        return self._held_until > now

    def _evaluate(self) -> None:
        now = time.monotonic()
        if now >= self._evaluates_at:
            # Before the turn: one that fails is not begun again at once.
            self._evaluates_at = now + self._every_s
            self._evaluator.turn()
        if now >= self._forgets_at:
            self._forgets_at = now + FORGET_EVERY_S
            with self._store.write(durable=False) as conn:
                forget_before(conn, utc_now() - KEPT)
