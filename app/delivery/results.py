"""Results of exchanges that wait to be written: together if possible, else one by one.

    all of them in one transaction ──fails──▶ each destination's ──fails──▶ each result

A result that cannot be written is set apart and tried again, further and further apart, so that
neither other results nor other destinations wait for it. When that does not help it is written
without what may be wrong with it: first its outcome alone, then as ``parked`` with the reason.
Until it is written its envelope is not sent again by this process.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from app.delivery import accounting
from app.delivery.client_reports import Report
from app.delivery.destination_sender import DestinationSender
from app.delivery.exchanges import Sent
from app.delivery.outcomes import DeliveryOutcome, record_outcomes
from app.delivery.policy import judge
from app.store import Store, StoreBusy, StoreError, utc_now

log = logging.getLogger("app.tracker")

# The wait after the first failure, doubled with every further one.
FIRST_WAIT_S = 0.5
MAX_WAIT_S = 300.0
# So often a result is tried as it is: within eight seconds.
WHOLE_TRIES = 5
# Counters of the store: results that were set apart, and those that were written without something.
SET_APART = "results:set_apart"
REDUCED = "results:reduced"


@dataclass
class _Apart:
    """A result that could not be written, how often it was tried, and when it is due again."""

    sent: Sent
    tries: int
    since: float
    due_at: float


class Results:
    """Results that are not written yet; for one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: list[Sent] = []
        self._apart: list[_Apart] = []
        self._written_at = float("-inf")
        # Not in the counters of the store yet.
        self._uncounted = 0

    def add(self, results: list[Sent]) -> None:
        """Add results of exchanges that have ended."""
        self._new += results

    def write(self, *, is_last: bool = False) -> None:
        """Write what is new, and what was set apart and is due again.

        :param is_last: the process ends; what is set apart is tried now, in every way there is.
        :raise StoreError: the store does not answer or is held; everything is kept.
        """
        if self._new:
            self._write_group(list(self._new))
        now = time.monotonic()
        for result in list(self._apart):
            if is_last or result.due_at <= now:
                self._write_again(result, is_last or result.tries >= WHOLE_TRIES)

    def _write_group(self, group: list[Sent]) -> None:
        try:
            self._record(group)
        except StoreBusy:
            raise
        except Exception as error:
            self._check_store(error)
            parts = _parts(group)
            if len(parts) > 1:
                for part in parts:
                    self._write_group(part)
            else:
                self._set_apart(group[0], error)
        else:
            for sent in group:
                sent.owner.take_back(sent)
                self._forget(sent)

    def _record(self, group: list[Sent]) -> None:
        """Write results as they are, and what they teach of their destinations."""
        now = utc_now()
        by_sender: dict[DestinationSender, list[Sent]] = {}
        for result in group:
            by_sender.setdefault(result.owner, []).append(result)
        # Not synced: a power cut then sends some of them twice, and the drain is ten times as fast.
        with self._store.write(durable=False) as conn:
            outcomes: list[DeliveryOutcome] = []
            for sender, sent in by_sender.items():
                outcomes += sender.outcomes(conn, sent, now)
            record_outcomes(conn, outcomes, now)
            self._count(conn)
        self._has_written()

    def _check_store(self, error: Exception) -> None:
        """Tell a store that does not answer from a result that it does not take.

        :raise StoreError: it does not answer.
        """
        if isinstance(error, StoreError):
            with self._store.read() as conn:
                conn.execute(select(1))

    # ---- what could not be written --------------------------------------------------------------

    def _set_apart(self, sent: Sent, error: Exception) -> None:
        log.error(
            "a result could not be written and is set apart, the others go on",
            exc_info=error,
            extra={"envelope_id": getattr(sent.token, "id", None)},
        )
        self._uncounted += 1
        self._forget(sent)
        now = time.monotonic()
        self._apart.append(_Apart(sent, 1, now, now + FIRST_WAIT_S))
        # A store that takes nothing at all, such as one on a full disk, keeps the places, so that
        # no more is sent than there are places.
        if not isinstance(error, StoreError):
            sent.owner.set_apart(sent)

    def _write_again(self, apart: _Apart, in_every_way: bool) -> None:
        ways = (self._record_whole, self._record_outcome, self._record_parked)
        for way in ways if in_every_way else ways[:1]:
            try:
                way(apart)
            except StoreBusy:
                raise
            except Exception as error:
                self._check_store(error)
            else:
                apart.sent.owner.take_back(apart.sent)
                self._apart.remove(apart)
                return
        apart.tries += 1
        apart.due_at = time.monotonic() + min(
            MAX_WAIT_S, FIRST_WAIT_S * 2 ** min(apart.tries - 1, 20)
        )
        if in_every_way and self._written_at > apart.since:
            apart.sent.owner.set_apart(apart.sent)  # The store takes others: it is this one.
            log.error("a result cannot be written in any way, it is tried again")

    def _record_whole(self, apart: _Apart) -> None:
        self._record([apart.sent])

    def _record_outcome(self, apart: _Apart) -> None:
        """Write what became of the envelope, without ledger and destination."""
        sent, now = apart.sent, utc_now()
        if isinstance(sent.token, Report):
            self._record_reduced([], now)  # It is not taken off, and sent again.
        elif sent.result is None:
            self._record_reduced([_parked(apart)], now)
        else:
            whole = sent.owner.outcome(sent.token, sent, judge(sent.result, now), now)
            self._record_reduced([replace(whole, attempt=None)], now)

    def _record_parked(self, apart: _Apart) -> None:
        self._record_reduced([_parked(apart)], utc_now())

    def _record_reduced(self, outcomes: list[DeliveryOutcome], now: datetime) -> None:
        with self._store.write(durable=False) as conn:
            record_outcomes(conn, outcomes, now)
            accounting.add(conn, {REDUCED: 1})
            self._count(conn)
        self._has_written()

    # ---- bookkeeping ----------------------------------------------------------------------------

    def _count(self, conn: Connection) -> None:
        if self._uncounted:
            accounting.add(conn, {SET_APART: self._uncounted})

    def _has_written(self) -> None:
        self._uncounted = 0
        self._written_at = time.monotonic()

    def _forget(self, sent: Sent) -> None:
        self._new = [result for result in self._new if result is not sent]


def _parts(group: list[Sent]) -> list[list[Sent]]:
    """Split results by destination, those of one destination singly."""
    by_sender: dict[DestinationSender, list[Sent]] = {}
    for result in group:
        by_sender.setdefault(result.owner, []).append(result)
    return list(by_sender.values()) if len(by_sender) > 1 else [[result] for result in group]


def _parked(apart: _Apart) -> DeliveryOutcome:
    token = apart.sent.token
    reason = "its result could not be written here: see the log"
    return DeliveryOutcome(token.id, token.attempts, "parked", reason)
