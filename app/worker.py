"""The background loops of a process: send to Sentry, evaluate alerts and send notices, bring
memories and their index together, take in what was set aside, remove what was deleted, prune.

Started by the server after the fork, ended before the process exits; `flask worker` is nothing but
these loops, for another process or host. What only one may do, it does under a lease.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from app.alerts.dispatcher import Dispatcher
from app.alerts.evaluation import Evaluator
from app.alerts.rules.kind import Parts
from app.alerts.task import AlertTask
from app.delivery.destination_sender import Rules
from app.delivery.destinations import Destinations
from app.delivery.forwarder import Forwarder
from app.delivery.policy import Backoff
from app.delivery.sampling import Sampling
from app.intake import Intake
from app.intake.pressure import relieve
from app.intake.retention import Limits, prune, purge_deleted
from app.issues.feedback import link_orphans
from app.issues.moving import finish_moves
from app.issues.similarity_index import read_unread, unread
from app.memory.service import Memories
from app.memory.task import MemoryTask
from app.memory.upkeep import Upkeep
from app.store import Store, StoreError
from app.store.leased_task import LeasedTask
from app.store.leases import claim
from app.store.recording import recording
from config import Config

log = logging.getLogger("app.tracker")

PERIOD_S = 10.0
# A webhook that hangs is no reason to be killed by the server, which waits for a few seconds.
ALERTS_STOP_S = 0.5
# The same of an index that does not answer.
MEMORIES_STOP_S = 0.5
# A transaction of the pruning is short, and the next holder of the lease goes on.
PRESSURE_STOP_S = 0.5
RETENTION_EVERY = timedelta(hours=1)
# Issues that are read in a turn to be compared with others: some 150 ms of CPU in ten seconds.
READ_PER_RUN = 300
COMPARING_LASTS = timedelta(minutes=1)


class PressureTask(LeasedTask):
    """Makes room in the store as soon as it is nearly full; a measurement every half second."""

    name = "pressure"
    poll_s = 0.5

    def __init__(self, store: Store, owner: str, limit: int) -> None:
        super().__init__(store, owner)
        self._limit = limit

    def work(self) -> None:
        """Make room if there is too little."""
        relieve(self.store, self._limit)


class Worker:
    """The threads that do what has to be done besides answering."""

    def __init__(
        self,
        config: Config,
        store: Store,
        intake: Intake,
        destinations: Destinations,
        dispatcher: Dispatcher,
        memories: Memories,
    ) -> None:
        self._config, self._store, self._intake = config, store, intake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._prunes_at = 0.0
        self._forwarder = Forwarder(store, destinations, rules_of(config))
        self.owner = self._forwarder.owner
        measured = Parts(destinations, config.DATA_DIR, intake)
        evaluator = Evaluator(store, measured, config.ALERTS_EVALUATE_EVERY_S)
        self._alerts = AlertTask(
            store, dispatcher, evaluator, config.ALERTS_EVALUATE_EVERY_S, self.owner
        )
        self._memories = MemoryTask(store, Upkeep(memories), self.owner)
        self._pressure = PressureTask(store, self.owner, config.MAX_STORE_BYTES)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._forwarder.start()
        self._alerts.start()
        self._memories.start()
        self._pressure.start()
        self._intake.stored = self._forwarder.wake

    def stop(self, timeout_s: float = 2.0) -> None:
        """Store what still waits in memory, settle what is on its way, end the loops."""
        self._stop.set()
        self._alerts.finish()
        self._memories.finish()
        self._pressure.finish()
        self._intake.close()
        self._forwarder.stop(timeout_s)
        self._alerts.stop(ALERTS_STOP_S)
        self._memories.stop(MEMORIES_STOP_S)
        self._pressure.stop(PRESSURE_STOP_S)
        self._thread.join(timeout_s)

    def run_forever(self) -> None:
        """Be the loops of a process of its own, until :meth:`finish` is called."""
        self._forwarder.start()
        self._alerts.start()
        self._memories.start()
        self._pressure.start()
        self._run()
        self._memories.finish()
        self._intake.close()
        self._alerts.stop()
        self._memories.stop()
        self._pressure.stop()
        self._forwarder.stop()

    def finish(self) -> None:
        """Have :meth:`run_forever` return; safe to call from a signal handler."""
        self._stop.set()

    def run_once(self) -> None:
        """Do everything that is due."""
        store = self._store
        with recording():
            for work in (
                self._recover,
                store.keep_keys,
                lambda: purge_deleted(store),
                lambda: finish_moves(store),
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
                    # One kind of work that fails must not keep the others from being done.
                    log.exception("the background loop failed, it goes on")

    def _recover(self) -> None:
        if self._intake.emergency.count():
            self._store.open()
            self._intake.recover()

    def _prune(self) -> None:
        if self._may_prune():
            prune(self._store, Limits.of(self._config))

    def _compare(self) -> None:
        store = self._store
        with store.read() as conn:  # Nothing to do is the usual case, and needs no lease.
            if not unread(conn, 1):
                return
        if claim(store, "comparing", self.owner, COMPARING_LASTS):
            read_unread(store, READ_PER_RUN)

    def _may_prune(self) -> bool:
        now = time.monotonic()
        if now < self._prunes_at:
            return False
        # Whoever holds it prunes once in its time; the others ask again each turn.
        mine = claim(self._store, "retention", self.owner, RETENTION_EVERY)
        self._prunes_at = now + RETENTION_EVERY.total_seconds() if mine else now
        return mine

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.run_once()


def rules_of(config: Config) -> Rules:
    """Return what the settings say about sending."""
    return Rules(
        backoff=Backoff(config.DELIVERY_BACKOFF_BASE_S, config.DELIVERY_BACKOFF_MAX_S),
        sampling=Sampling(
            type_rates=config.SENTRY_ERROR_SAMPLE_RATES,
            per_issue_and_hour=config.DELIVERY_MAX_PER_ISSUE_PER_HOUR,
        ),
        backlog_per_s=config.DELIVERY_BACKLOG_PER_S,
        max_age=timedelta(days=config.DELIVERY_MAX_AGE_DAYS),
    )
