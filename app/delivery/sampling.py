"""Sampling: which events are not sent to Sentry, by rate and by cap. All are stored and counted.

An issue's first event is always sent, and so are envelopes that a person replayed. Whether the rate
drops an event depends only on its id, so a second decision gives the same result.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, select

from app.delivery.outbox import Due
from app.delivery.tables import issue_deliveries
from app.issues.followers import when_merged
from app.issues.tables import issues
from app.store import added, upsert

SAMPLED = "sample_rate"
CAPPED = "issue_cap"


@dataclass(frozen=True)
class Sampling:
    """The sampling rules.

    :param sample_rate: share of events that are sent, 0 to 1.
    :param type_rates: share of events that are sent, by name of the exception type.
    :param per_issue_and_hour: the most events of an issue sent in a clock hour; 0 for no cap.
    """

    sample_rate: float = 1.0
    type_rates: Mapping[str, float] = field(default_factory=dict)
    per_issue_and_hour: int = 0

    @property
    def is_active(self) -> bool:
        """Whether these rules can drop any event."""
        return self.sample_rate < 1 or bool(self.type_rates) or self.per_issue_and_hour > 0

    def decide(
        self, conn: Connection, due: Iterable[Due], on_their_way: Iterable[Due], now: datetime
    ) -> dict[int, str]:
        """Return the reason for each envelope that is not to be sent, by its id.

        :param on_their_way: envelopes that are being sent and have no recorded outcome yet.
        """
        due = list(due)
        asked = (
            [envelope for envelope in due if _may_be_thinned(envelope)] if self.is_active else []
        )
        reasons = {envelope.id: SAMPLED for envelope in asked if self._is_sampled_out(envelope)}
        if self.per_issue_and_hour:
            rest = [envelope for envelope in asked if envelope.id not in reasons]
            # An issue's first event is always sent. It counts towards the cap of its repeats.
            going = [
                *on_their_way,
                *(envelope for envelope in due if not _may_be_thinned(envelope)),
            ]
            reasons |= self._capped(conn, rest, going, now)
        return reasons

    def _is_sampled_out(self, due: Due) -> bool:
        rate = self.type_rates.get(due.error_type or "", self.sample_rate)
        return rate < 1 and _share(due.event_id or "") >= rate

    def _capped(
        self, conn: Connection, asked: list[Due], going: Iterable[Due], now: datetime
    ) -> dict[int, str]:
        issue_ids = {envelope.issue_id for envelope in asked}
        query = select(issue_deliveries.c.issue_id, issue_deliveries.c.sent)
        query = query.where(
            issue_deliveries.c.issue_id.in_(issue_ids), issue_deliveries.c.hour == hour_of(now)
        )
        sent: Counter[int | None] = Counter({row.issue_id: row.sent for row in conn.execute(query)})
        sent.update(envelope.issue_id for envelope in going if envelope.attempts == 0)
        reasons: dict[int, str] = {}
        for envelope in asked:
            if sent[envelope.issue_id] >= self.per_issue_and_hour:
                reasons[envelope.id] = CAPPED
            sent[envelope.issue_id] += 1
        return reasons


def hour_of(moment: datetime) -> datetime:
    """Return the clock hour that a moment is in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def count_sent(conn: Connection, issue_ids: Iterable[int], now: datetime) -> None:
    """Count events of these issues as sent in this hour: one event for each time an id occurs."""
    counts = Counter(issue_ids)
    # A person may have deleted an issue while its event was on its way.
    there = set(conn.scalars(select(issues.c.id).where(issues.c.id.in_(counts)))) if counts else ()
    rows = [
        {"issue_id": issue_id, "hour": hour_of(now), "sent": count}
        for issue_id, count in sorted(counts.items())
        if issue_id in there
    ]
    if rows:
        conn.execute(upsert(conn, issue_deliveries, sent=added), rows)


@when_merged
def _count_as_one(conn: Connection, source_id: int, target_id: int) -> None:
    """Add the sent events of a merged issue to its target issue, so that the cap still holds."""
    of_source = issue_deliveries.c.issue_id == source_id
    query = select(issue_deliveries.c.hour, issue_deliveries.c.sent).where(of_source)
    rows = [
        {"issue_id": target_id, "hour": hour, "sent": sent} for hour, sent in conn.execute(query)
    ]
    if rows:
        conn.execute(upsert(conn, issue_deliveries, sent=added), rows)
        conn.execute(delete(issue_deliveries).where(of_source))


def _may_be_thinned(due: Due) -> bool:
    return due.issue_id is not None and due.priority > 0 and due.attempts == 0


def _share(event_id: str) -> float:
    return int(hashlib.sha256(event_id.encode()).hexdigest()[:13], 16) / 16**13
