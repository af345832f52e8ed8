"""The background tasks of a process.

The worker forwards envelopes to Sentry and asks whether Sentry shows them, evaluates alerts and
sends notifications, updates memories and their index, recovers the emergency folder, writes the
search index and the rows of signals, finds missed runs of monitors, removes deleted data, and
prunes.

The server starts it after the fork and stops it before the process exits. `flask worker` runs only
these tasks, in another process or on another host. Work that only one process may do needs a lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from app.accounts import audit
from app.alerts.dispatcher import Dispatcher
from app.alerts.evaluation import Evaluator
from app.alerts.outage import Outage
from app.alerts.rules.kind import Parts
from app.alerts.task import GATHER, AlertTask
from app.confirmation.task import ConfirmationTask
from app.delivery.accounting import check
from app.delivery.destination_sender import Rules
from app.delivery.destinations import Destinations
from app.delivery.forwarder import Forwarder
from app.delivery.policy import Backoff
from app.delivery.sampling import Sampling
from app.intake import Intake
from app.intake.pressure import relieve
from app.intake.removed_projects import remove_deleted_projects
from app.intake.retention import Limits, prune, prune_logs, purge_deleted
from app.issues.feedback import link_orphans
from app.issues.moving import finish_moves
from app.issues.similarity_index import read_unread, unread
from app.search.task import SearchTask
from app.signals.check_ins import MonitorTask
from app.signals.task import SignalTask
from app.stats.environments import count_stored
from app.stats.users import UserCounter
from app.store import Store, StoreError, utc_now
from app.store.leased_task import LeasedTask
from app.store.leases import claim
from app.store.recording import recording
from config import Config

log = logging.getLogger("app.tracker")

PERIOD_S = 10.0
# A webhook or an index that hangs must not delay the exit: the server kills the process after a few
# seconds. A transaction is short, and the next holder of the lease continues the work.
TASK_STOP_S = 0.5
RETENTION_EVERY = timedelta(hours=1)
# How many issues one run reads for comparison with others; about 150 ms of CPU every ten seconds.
READ_PER_RUN = 300
COMPARING_LASTS = timedelta(minutes=1)


class PressureTask(LeasedTask):
    """Makes room in the store when it is nearly full. It measures every half second."""

    name = "pressure"
    poll_s = 0.5

    def __init__(self, store: Store, owner: str, limit: int) -> None:
        super().__init__(store, owner)
        self._limit = limit

    def work(self) -> None:
        """Make room in the store if it is nearly full."""
        relieve(self.store, self._limit)


class CountingTask(LeasedTask):
    """Counts the events of projects and environments."""

    name = "environments"
    poll_s = 2.0

    def __init__(self, store: Store, owner: str) -> None:
        super().__init__(store, owner)
        self._users = UserCounter()

    def work(self) -> None:
        """Count the events that were stored since the last run."""
        count_stored(self.store, self._users, utc_now())


class AccountingTask(LeasedTask):
    """Compares the counters of envelopes with the envelopes, for the start page."""

    name = "accounting"
    poll_s = 50.0

    def work(self) -> None:
        """Compare them and note the result."""
        check(self.store, utc_now())


class LogTask(LeasedTask):
    """Removes lines of logs beyond their limits, and envelopes whose lines are rows."""

    name = "logs"
    poll_s = 10.0

    def __init__(self, store: Store, owner: str, limits: Limits) -> None:
        super().__init__(store, owner)
        self._limits = limits

    def work(self) -> None:
        """Remove what is due."""
        prune_logs(self.store, self._limits, utc_now())


class Worker:
    """The background threads of a process.

    :param tasks: functions that create further tasks. Each gets the owner name for its leases.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        intake: Intake,
        destinations: Destinations,
        dispatcher: Dispatcher,
        tasks: Iterable[Callable[[str], LeasedTask]] = (),
    ) -> None:
        self._config, self._store, self._intake = config, store, intake
        self._destinations = destinations
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._prunes_at = 0.0
        self._forwarder = Forwarder(store, destinations, rules_of(config))
        self.owner = self._forwarder.owner
        measured = Parts(destinations, config.DATA_DIR, intake)
        every_s = config.ALERTS_EVALUATE_EVERY_S
        evaluator = Evaluator(store, measured, every_s, min(GATHER, timedelta(seconds=every_s) / 3))
        outage = Outage(store, dispatcher.senders, config.DATA_DIR, config.public_url)
        self._tasks = [
            AlertTask(store, dispatcher, evaluator, outage, every_s, self.owner),
            *(make(self.owner) for make in tasks),
            PressureTask(store, self.owner, config.MAX_STORE_BYTES),
            CountingTask(store, self.owner),
            AccountingTask(store, self.owner),
            SearchTask(store, self.owner),
            ConfirmationTask(store, self.owner, destinations, sends_canaries=config.SENTRY_CANARY),
            SignalTask(store, self.owner),
            LogTask(store, self.owner, Limits.of(config)),
            MonitorTask(store, self.owner),
        ]

    def start(self) -> None:
        """Start all threads."""
        self._thread.start()
        self._start_tasks()
        self._intake.stored = self._forwarder.wake

    def stop(self, timeout_s: float = 2.0) -> None:
        """Store what is still in memory, record outcomes of running deliveries, end the threads."""
        self._stop.set()
        self._close()
        self._forwarder.stop(timeout_s)
        self._stop_tasks(TASK_STOP_S)
        self._thread.join(timeout_s)

    def run_forever(self) -> None:
        """Run all tasks until :meth:`finish` is called, in a process that does nothing else."""
        self._start_tasks()
        self._run()
        self._close()
        self._stop_tasks()
        self._forwarder.stop()

    def _start_tasks(self) -> None:
        self._forwarder.start()
        for task in self._tasks:
            task.start()

    def _close(self) -> None:
        """Stop the tasks from starting new work, and store what is still in memory."""
        for task in self._tasks:
            task.finish()
        self._intake.close()

    def _stop_tasks(self, timeout_s: float = 2.0) -> None:
        for task in self._tasks:
            task.stop(timeout_s)

    def finish(self) -> None:
        """Make :meth:`run_forever` return. This is safe to call from a signal handler."""
        self._stop.set()

    def run_once(self) -> None:
        """Do all work that is due."""
        store = self._store
        with recording():
            for work in (
                self._recover,
                store.keep_keys,
                lambda: purge_deleted(store),
                lambda: finish_moves(store),
                lambda: remove_deleted_projects(store, self._destinations),
                lambda: link_orphans(store),
                self._compare,
                self._prune,
            ):
                try:
                    work()
                except StoreError as error:
                    log.warning("the store does not answer the background loop: %s", error)
                    return
                except Exception:
                    # If one kind of work fails, the others must still be done.
                    log.exception("the background loop failed, it goes on")

    def _recover(self) -> None:
        if self._intake.emergency.count():
            self._store.open()
            self._intake.recover()

    def _prune(self) -> None:
        if self._may_prune():
            prune(self._store, Limits.of(self._config))
            audit.prune(self._store, self._config.AUDIT_RETENTION_DAYS, utc_now())

    def _compare(self) -> None:
        store = self._store
        with store.read() as conn:  # Usually there is nothing to do, which needs no lease.
            if not unread(conn, 1):
                return
        if claim(store, "comparing", self.owner, COMPARING_LASTS):
            read_unread(store, READ_PER_RUN)

    def _may_prune(self) -> bool:
        now = time.monotonic()
        if now < self._prunes_at:
            return False
        # The holder of the lease prunes once while it lasts. The others try again in each run.
        mine = claim(self._store, "retention", self.owner, RETENTION_EVERY)
        self._prunes_at = now + RETENTION_EVERY.total_seconds() if mine else now
        return mine

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.run_once()


def rules_of(config: Config) -> Rules:
    """Return the delivery rules from the settings."""
    return Rules(
        backoff=Backoff(config.DELIVERY_BACKOFF_BASE_S, config.DELIVERY_BACKOFF_MAX_S),
        sampling=Sampling(
            type_rates=config.SENTRY_ERROR_SAMPLE_RATES,
            per_issue_and_hour=config.DELIVERY_MAX_PER_ISSUE_PER_HOUR,
        ),
        backlog_per_s=config.DELIVERY_BACKLOG_PER_S,
        max_age=timedelta(days=config.DELIVERY_MAX_AGE_DAYS),
    )
