"""Write the results of exchanges: together if possible, otherwise one by one.

    all of them in one transaction ──fails──▶ each destination's ──fails──▶ each result

A result that cannot be written is kept separately and tried again, with growing waits. So neither
other results nor other destinations wait for it. If that does not help, the part that may cause the
error is left out: first only the outcome is written, then the state ``parked`` with the reason.
Until the result is written, this process does not send its envelope again.
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
from app.events.states import EnvelopeState
from app.store import Store, StoreBusy, StoreError, utc_now

log = logging.getLogger("app.tracker")

# The wait after the first failure. It doubles with every further failure.
FIRST_WAIT_S = 0.5
MAX_WAIT_S = 300.0
# How often a complete result is tried. These attempts take eight seconds.
WHOLE_TRIES = 5
# Counters in the store: results that were kept separately, and results that were written in part.
SET_APART = "results:set_apart"
REDUCED = "results:reduced"


@dataclass
class _Apart:
    """A result that could not be written, how often it was tried, and when it is tried again."""

    sent: Sent
    tries: int
    since: float
    due_at: float


class Results:
    """Results that are not written yet. Only one thread may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: list[Sent] = []
        self._apart: list[_Apart] = []
        self._written_at = float("-inf")
        # Separate results that the counters in the store do not include yet.
        self._uncounted = 0

    def add(self, results: list[Sent]) -> None:
        """Add results of exchanges that have ended."""
        self._new += results

    def write(self, *, is_last: bool = False) -> None:
        """Write new results, and separate results that are due to be tried again.

        :param is_last: the process ends. Every separate result is tried now, in every way.
        :raise StoreError: the store does not answer or is busy. All results are kept.
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
        """Write complete results, and what they show about their destinations."""
        now = utc_now()
        by_sender: dict[DestinationSender, list[Sent]] = {}
        for result in group:
            by_sender.setdefault(result.owner, []).append(result)
        # The transaction is not synced to disk. A backlog then drains ten times as fast, and after
        # a power cut some envelopes are sent twice.
        with self._store.write(durable=False) as conn:
            outcomes: list[DeliveryOutcome] = []
            for sender, sent in by_sender.items():
                outcomes += sender.outcomes(conn, sent, now)
            record_outcomes(conn, outcomes, now)
            self._count(conn)
        self._has_written()

    def _check_store(self, error: Exception) -> None:
        """Distinguish a store that does not answer from a result that it rejects.

        :raise StoreError: the store does not answer.
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
        # If the store accepts no writes at all, for example on a full disk, the result keeps its
        # connection in use. So no more envelopes are sent than there are connections.
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
            apart.sent.owner.set_apart(apart.sent)  # The store accepts other results.
            log.error("a result cannot be written in any way, it is tried again")

    def _record_whole(self, apart: _Apart) -> None:
        self._record([apart.sent])

    def _record_outcome(self, apart: _Apart) -> None:
        """Write only the outcome of the envelope, without the attempt and the destination."""
        sent, now = apart.sent, utc_now()
        if isinstance(sent.token, Report):
            self._record_reduced([], now)  # The report is not subtracted, so it is sent again.
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

    # ---- counters -------------------------------------------------------------------------------

    def _count(self, conn: Connection) -> None:
        if self._uncounted:
            accounting.add(conn, {SET_APART: self._uncounted})

    def _has_written(self) -> None:
        self._uncounted = 0
        self._written_at = time.monotonic()

    def _forget(self, sent: Sent) -> None:
        self._new = [result for result in self._new if result is not sent]


def _parts(group: list[Sent]) -> list[list[Sent]]:
    """Split results by destination, or results of one destination into single results."""
    by_sender: dict[DestinationSender, list[Sent]] = {}
    for result in group:
        by_sender.setdefault(result.owner, []).append(result)
    return list(by_sender.values()) if len(by_sender) > 1 else [[result] for result in group]


def _parked(apart: _Apart) -> DeliveryOutcome:
    token = apart.sent.token
    reason = "its result could not be written here: see the log"
    return DeliveryOutcome(token.id, token.attempts, EnvelopeState.PARKED, reason)
