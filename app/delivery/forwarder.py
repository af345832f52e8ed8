"""The forwarder: the loop that sends envelopes from the outbox to Sentry.

    results of exchanges ──▶ one transaction: rows, attempts, counters, circuits ──▶ next results
    projects with due envelopes ──▶ a sender each, under its lease ──▶ exchanges begin

Every process may run a forwarder. Leases ensure that only one of them works for a destination at a
time. A SIGKILL loses nothing, because the store has the state of every envelope. An envelope that
was sent and whose outcome was not recorded is sent again.
"""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy import Connection

from app.delivery import client_reports, outbox
from app.delivery.destination_sender import DestinationSender, Rules
from app.delivery.destinations import Destination, Destinations
from app.delivery.exchanges import Exchanges
from app.delivery.outcomes import DeliveryOutcome, record_outcomes
from app.delivery.results import Results
from app.store import Store, StoreError, utc_now
from app.store.leases import new_owner

log = logging.getLogger("app.tracker")

# How soon the forwarder notices envelopes that another process stored. Envelopes that its own
# process stored wake it at once.
POLL_S = 0.2
# The wait after an error of the store or of the forwarder itself.
PAUSE_S = 1.0
# How long a project is skipped after its part of a run failed.
FAILED_REST_S = 5.0
EXPIRE_EVERY_S = 60.0
OWING_EVERY_S = 5.0
# A sender without work closes its connections and releases its lease after this time.
IDLE_S = 60.0
# How long the forwarder waits for answers when the process ends.
STOP_S = 2.0


class Forwarder:
    """The forwarder of a process. Call :meth:`start` after any fork: it starts the thread."""

    def __init__(self, store: Store, destinations: Destinations, rules: Rules) -> None:
        self._store = store
        self._destinations = destinations
        self._rules = rules
        self.owner = new_owner()
        self._exchanges: Exchanges
        self._results = Results(store)
        # The number of runs of the loop since the process began.
        self.runs = 0
        self._senders: dict[int, DestinationSender] = {}
        self._worked_at: dict[int, float] = {}
        self._owing: list[int] = []
        self._due: list[int] = []
        self._rests: dict[int, float] = {}
        self._has_to_look = True
        self._owing_at = self._expired_at = self._looked_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Start the forwarder's thread."""
        self._exchanges = Exchanges()
        self._thread.start()

    def wake(self) -> None:
        """Make the forwarder look for due envelopes now, after something was stored."""
        self._has_to_look = True
        if self._thread.is_alive():
            self._exchanges.wake()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Stop sending, record the outcomes of running exchanges and release the leases.

        :param timeout_s: how long to wait for the thread to end; one second is added.
        """
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s + 1)

    def run(self) -> None:
        """Run the loop until :meth:`stop` is called."""
        while not self._stopping.is_set():
            try:
                self._results.add(self._exchanges.results(POLL_S))
                self._results.write()
                self._advance()
                self.runs += 1
            except StoreError as error:
                log.warning("the store does not answer the forwarder: %s", error)
                self._stopping.wait(PAUSE_S)
            except Exception:
                log.exception("the forwarder failed, it goes on")
                self._stopping.wait(PAUSE_S)
        self._finish()

    # ---- one run --------------------------------------------------------------------------------

    def _advance(self) -> None:
        self._expire()
        dropped: list[DeliveryOutcome] = []
        for destination in self._due_destinations():
            try:
                dropped += self._sender(destination.project_id).step(destination)
            except StoreError:
                raise
            except Exception:
                self._rest(destination.project_id)
        if dropped:
            self._drop(dropped)
            self.wake()
        self._close_idle()

    def _due_destinations(self) -> list[Destination]:
        """Return the destinations with something to send now, with their state in the store."""
        resting = {
            project_id for project_id, until in self._rests.items() if until > time.monotonic()
        }
        due = [project_id for project_id in self._due_projects() if project_id not in resting]
        if not due:
            return []
        with self._store.read() as conn:
            found = self._destinations.find_all(conn, due)
        for project_id in set(due) - {result.project_id for result in found}:
            self._rest(project_id, "the row of a destination cannot be read")
        return found

    def _due_projects(self) -> list[int]:
        """Return the projects with something to send now.

        The list is read again when something was stored, and every ``POLL_S``. One statement reads
        it, however many projects have envelopes that are not due.
        """
        if self._has_to_look or time.monotonic() - self._looked_at > POLL_S:
            self._has_to_look = False
            with self._store.read() as conn:
                due = {*outbox.due_projects(conn, utc_now()), *self._projects_owing(conn)}
            self._due, self._looked_at = sorted(due), time.monotonic()
        return self._due

    def _rest(self, project_id: int, what: str = "a destination failed") -> None:
        """Skip a project for a while, so that it does not hold up the others."""
        log.error("%s, the others go on", what, exc_info=True, extra={"project_id": project_id})
        self._rests[project_id] = time.monotonic() + FAILED_REST_S

    def _drop(self, dropped: list[DeliveryOutcome]) -> None:
        """Record the outcomes of envelopes that were sampled out: all together, or if this fails
        one by one.
        """
        try:
            self._write(dropped)
        except StoreError:
            raise
        except Exception:
            for result in dropped:
                try:
                    self._write([result])
                except StoreError:
                    raise
                except Exception:
                    log.exception("an envelope that is not sent could not be marked, it waits")

    def _write(self, outcomes: list[DeliveryOutcome]) -> None:
        with self._store.write(durable=False) as conn:
            record_outcomes(conn, outcomes, utc_now())

    def _sender(self, project_id: int) -> DestinationSender:
        self._worked_at[project_id] = time.monotonic()
        if project_id not in self._senders:
            self._senders[project_id] = DestinationSender(
                project_id,
                self._store,
                self._destinations,
                self._rules,
                self.owner,
                self._exchanges,
            )
        return self._senders[project_id]

    def _projects_owing(self, conn: Connection) -> list[int]:
        """Return the projects that may send a client report now."""
        if time.monotonic() - self._owing_at > OWING_EVERY_S:
            self._owing_at = time.monotonic()
            self._owing = client_reports.projects_owing(conn)
        senders = ((project_id, self._senders.get(project_id)) for project_id in self._owing)
        return [
            project_id for project_id, sender in senders if sender is None or sender.may_report()
        ]

    def _expire(self) -> None:
        if time.monotonic() - self._expired_at < EXPIRE_EVERY_S:
            return
        self._expired_at = time.monotonic()
        before = utc_now() - self._rules.max_age
        with self._store.read() as conn:
            if not outbox.has_expired(conn, before):
                return
        with self._store.write() as conn:
            outbox.expire(conn, before, utc_now())
        self._expired_at = float("-inf")  # There may be more than one batch.

    # ---- ending ---------------------------------------------------------------------------------

    def _close_idle(self) -> None:
        now = time.monotonic()
        for project_id, sender in list(self._senders.items()):
            if now - self._worked_at[project_id] > IDLE_S and sender.is_idle:
                sender.close()
                del self._senders[project_id]
                if not self._senders:
                    self._exchanges.close_connections()

    def _finish(self) -> None:
        """Record the outcomes of running exchanges, or end them. Then release the leases."""
        try:
            deadline = time.monotonic() + STOP_S
            while self._is_sending() and (left := deadline - time.monotonic()) > 0:
                self._results.add(self._exchanges.results(min(left, POLL_S)))
                self._results.write()
            self._exchanges.end_all("this process ended before an answer came")
            self._results.add(self._exchanges.results(0))
            self._results.write(is_last=True)
            for sender in self._senders.values():
                sender.close()
        except StoreError as error:
            log.warning("what was on its way is sent again: the store does not answer: %s", error)
        finally:
            self._exchanges.close()

    def _is_sending(self) -> bool:
        return any(sender.is_sending for sender in self._senders.values())
