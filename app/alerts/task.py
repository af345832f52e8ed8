"""The thread that evaluates and sends, in whichever process holds the lease.

A turn ends early when channels are slow; what is being sent at the end of the process, and takes
longer than that waits, is sent again by whoever comes next.
"""

from __future__ import annotations

import logging
import time

from app.alerts.dispatcher import Dispatcher
from app.alerts.evaluation import Evaluator
from app.alerts.notifications import KEPT, forget_before
from app.store import Store, StoreError, utc_now
from app.store.leased_task import LeasedTask

log = logging.getLogger("app.tracker")

FORGET_EVERY_S = 3600.0


class AlertTask(LeasedTask):
    """One for a process.

    :param every_s: how often rules are evaluated; notifications that are due go out each turn.
    """

    name = "alerts"
    poll_s = 2.0

    def __init__(
        self, store: Store, dispatcher: Dispatcher, evaluator: Evaluator, every_s: float, owner: str
    ) -> None:
        super().__init__(store, owner)
        self._dispatcher = dispatcher
        self._evaluator = evaluator
        self._every_s = every_s
        self._evaluates_at = self._forgets_at = float("-inf")

    def work(self) -> None:
        """Evaluate and forget when it is time, and send what is due."""
        now = time.monotonic()
        if now >= self._evaluates_at:
            # Before the turn: one that fails is not begun again at once.
            self._evaluates_at = now + self._every_s
            self._evaluate()
        if now >= self._forgets_at:
            self._forgets_at = now + FORGET_EVERY_S
            with self.store.write(durable=False) as conn:
                forget_before(conn, utc_now() - KEPT)
        self._dispatcher.send_due(self.stopping)

    def _evaluate(self) -> None:
        try:
            self._evaluator.work()
        except StoreError:
            raise
        except Exception:
            log.exception("rules could not be evaluated, what is due is sent")
