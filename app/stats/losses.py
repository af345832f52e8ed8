"""Losses: what clients report that they did not send, and what was refused here.

They are counted by SDK, version, reason and category of data, by the minute: reports in the
transaction that stores them, refusals within a second or two. Names come from clients, so the
number of series of a day is limited.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import BigInteger, Connection

from app.projects.quotas import REASONS as REFUSALS
from app.protocol.client_report import REASONS
from app.protocol.sdk_name import Sdk
from app.stats import months
from app.stats.additive import OTHER, AdditiveSeries, Counts, Key, Sample
from app.stats.counting import SeriesCounter, Tally
from app.stats.months import MonthKey, add_months, month_of

Source = Literal["client", "refused"]
# Reported by a client; or refused at an ingest route.
CLIENT: Source = "client"
REFUSED: Source = "refused"
# The categories of events. Others count parts of them (spans) or bytes (logs, attachments).
EVENTS = ("default", "error", "security", "transaction")
# The category of envelopes that were refused before they were read.
UNREAD = "unread"
# Different losses that a process keeps while the store accepts no writes. Further ones are counted
# without their SDK.
MAX_WAITING = 2000


class Lost(NamedTuple):
    """Items that were lost together.

    :param reason: for ``client`` a word of the protocol, for ``refused`` one of ``REASONS``.
    :param category: of data, in the words of the protocol.
    """

    source: Source
    sdk: Sdk
    reason: str
    category: str
    quantity: int = 1


LOST = Counts("loss_counts", {"quantity": BigInteger})


def _read(lost: Lost, at: float) -> Iterator[Sample]:
    names = *lost.sdk, lost.reason, lost.category, lost.source
    yield Sample(LOST, names, (lost.quantity,))


LOSSES = AdditiveSeries(
    "loss_series",
    keys=(
        Key("sdk", 64, OTHER),
        Key("version", 64),
        # Losses beyond the limit keep what says whether an event was lost, and whether on purpose.
        Key("reason", 64, REASONS | REFUSALS.keys()),
        Key("category", 64, frozenset(EVENTS)),
        Key("source", 8, None),
    ),
    counts=(LOST,),
    # For example, ten reasons and categories from a hundred versions.
    max_series=1000,
    minutes_kept=timedelta(days=2),
    read=_read,
    # A name with all columns would be too long for PostgreSQL.
    unique_name="uq_loss_series_day",
)
loss_series, loss_counts = LOSSES.table, LOST.table

# Refusals that spare Sentry an event which happened. The others are mistakes of clients.
_SPARING = ("quota", "store_full")


class LossCounter(SeriesCounter):
    """Counts losses into the rows of one store, and what was refused also by the month."""

    def __init__(self) -> None:
        super().__init__(LOSSES)

    def add(self, conn: Connection, tally: Tally, now: datetime | None) -> None:
        """Add the amounts of a tally to the rows. The caller commits."""
        super().add(conn, tally, now)
        counts: Counter[MonthKey] = Counter()
        for (key, _), (quantity,) in tally.rows[LOST].items():
            project_id, day, _, _, reason, category, source = key
            if source == REFUSED and reason in _SPARING:
                outcome = f"{months.REFUSED}{reason}"
                counts[project_id, category, outcome, month_of(day)] += quantity
        add_months(conn, counts)


# A project, a minute since 1970, and a loss without its quantity.
_Key = tuple[int, int, Lost]


class WaitingLosses:
    """Losses that are not written yet. Any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[_Key] = Counter()

    def add(self, project_id: int, lost: Lost) -> None:
        """Add one lost item, or envelope."""
        minute = int(time.time()) // 60
        with self._lock:
            key = (project_id, minute, lost)
            if len(self._counts) >= MAX_WAITING and key not in self._counts:
                key = (project_id, minute, lost._replace(sdk=Sdk(OTHER), category=OTHER))
            self._counts[key] += 1

    def take(self) -> Mapping[_Key, int]:
        """Return what waits. A caller that cannot write it calls :meth:`give_back`."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, taken: Mapping[_Key, int]) -> None:
        """Add what :meth:`take` returned and was not written."""
        with self._lock:
            self._counts.update(taken)


def tally_of(waiting: Mapping[_Key, int]) -> Tally:
    """Return waiting losses as amounts of :data:`LOSSES`."""
    tally = Tally(LOSSES)
    for (project_id, minute, lost), count in waiting.items():
        tally.add(project_id, minute * 60, (lost._replace(quantity=count),))
    return tally
