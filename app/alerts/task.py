"""The task that evaluates rules and sends notifications, in the process that holds the lease.

A run ends early if channels are slow. If a sending takes longer than the process waits at its end,
another process sends the notification again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from app.alerts.dispatcher import Dispatcher
from app.alerts.evaluation import Evaluator
from app.alerts.notifications import KEPT, forget_before
from app.alerts.outage import Outage
from app.store import Store, StoreError, utc_now
from app.store.leased_task import LeasedTask
from app.store.recording import recording

log = logging.getLogger("app.tracker")

FORGET_EVERY_S = 3600.0
# Issues that are new or back are notified about sooner than rules are evaluated. The first one
# waits for others: all errors of a deploy are in one notification, half a minute after the first.
DISPATCH_EVERY_S = 5.0
GATHER = timedelta(seconds=20)


class AlertTask(LeasedTask):
    """The alert task of a process.

    :param every_s: interval between evaluations in seconds. Every run sends due notifications.
    :param outage: looked at in every process, with the lease or without.
    """

    name = "alerts"
    poll_s = 2.0

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        evaluator: Evaluator,
        outage: Outage,
        every_s: float,
        owner: str,
    ) -> None:
        super().__init__(store, owner)
        self._outage = outage
        self._dispatcher = dispatcher
        self._evaluator = evaluator
        self._every_s = every_s
        self._evaluates_at = self._dispatches_at = self._forgets_at = float("-inf")

    def run_once(self) -> bool:
        """Do the work that is due; without a store that takes it, tell people directly."""
        is_holder = super().run_once()
        with recording():
            self._outage.look()
        return is_holder

    def work(self) -> None:
        """Send due notifications. At intervals, also evaluate rules and remove old rows."""
        now = time.monotonic()
        if now >= self._evaluates_at:
            # Set before the evaluation, so that a failed evaluation is not repeated at once.
            self._evaluates_at = now + self._every_s
            self._attempt(self._evaluator.work)
        elif now >= self._dispatches_at:
            self._dispatches_at = now + DISPATCH_EVERY_S
            self._attempt(self._evaluator.dispatch)
        if now >= self._forgets_at:
            self._forgets_at = now + FORGET_EVERY_S
            with self.store.write(durable=False) as conn:
                forget_before(conn, utc_now() - KEPT)
        self._dispatcher.send_due(self.stopping)

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except StoreError:
            raise
        except Exception:
            log.exception("rules could not be evaluated, what is due is sent")
