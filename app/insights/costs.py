"""Costs: by month, how many events of a project there were, how many were sent, and what spared
the others.

    stored (still here by the day, or added to its month) + refused  =  happened
    stored  =  sent + spared + kept here
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from sqlalchemy import BigInteger, Connection, cast, func, select

from app.protocol.rate_limits import categories_of
from app.stats.item_counts import item_counts
from app.stats.months import (
    DELIVERED,
    DISCARDED,
    MONTHS_SHOWN,
    REFUSED,
    STORED,
    month_of,
    outcome_months,
)

# The categories of which an envelope has one at most, so that envelopes and events are the same.
Category = Literal["error", "transaction"]
CATEGORIES: tuple[Category, ...] = ("error", "transaction")
_ITEM_TYPES = {categories_of(name)[0]: name for name in ("event", "transaction")}
# Why an event that is stored was not sent to Sentry, or why it was refused.
REASONS = {
    "sample_rate": "Sampled out by SENTRY_SAMPLE_RATE or SENTRY_ERROR_SAMPLE_RATES",
    "issue_cap": "Beyond DELIVERY_MAX_PER_ISSUE_PER_HOUR",
    "by_person": "Discarded by a person",
    "too_old": "Removed by age before Sentry accepted it",
    "erased": "Erased with a person",
    "quota": "Beyond the project's quota",
    "store_full": "The store was full",
}


@dataclass
class MonthCost:
    """What became of the events that a project received in a month, in UTC.

    :param month: its first day.
    :param stored: how many are, or were, stored here.
    :param sent: how many of those Sentry accepted.
    :param spared: how many of those are not sent, by reason.
    :param refused: how many were refused and are not stored, by reason.
    """

    month: date
    stored: int = 0
    sent: int = 0
    spared: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def happened(self) -> int:
        """How many events reached this service."""
        return self.stored + sum(self.refused.values())

    @property
    def not_sent(self) -> int:
        """How many were spared or refused."""
        return sum(self.spared.values()) + sum(self.refused.values())

    @property
    def kept(self) -> int:
        """How many are only here: they wait, are parked or expired, or have no destination."""
        return max(0, self.stored - self.sent - sum(self.spared.values()))

    @property
    def share_spared(self) -> float:
        """The share, from 0 to 1, that Sentry was spared of all events that happened."""
        return self.not_sent / self.happened if self.happened else 0.0

    def add(self, outcome: str, quantity: int) -> None:
        """Add a count of :data:`app.stats.months.MONTHS`."""
        if outcome == STORED:
            self.stored += quantity
        elif outcome == DELIVERED:
            self.sent += quantity
        for prefix, by_reason in ((DISCARDED, self.spared), (REFUSED, self.refused)):
            if outcome.startswith(prefix) and quantity > 0:
                by_reason[outcome.removeprefix(prefix)] = quantity


def months_of(
    conn: Connection, project_id: int, category: Category, now: datetime
) -> list[MonthCost]:
    """Return the months of a project that have any count, newest first.

    :return: at most the running month and the :data:`MONTHS_SHOWN` before it.
    """
    found: dict[date, MonthCost] = {}
    counts = _counts(conn, _first_month(now), category, project_id)
    for _, month, outcome, quantity in counts:
        found.setdefault(month, MonthCost(month)).add(outcome, quantity)
    return sorted(found.values(), key=lambda one: one.month, reverse=True)


def projects_in_month(conn: Connection, category: Category, month: date) -> dict[int, MonthCost]:
    """Return what every project had in a month, most events first."""
    found: dict[int, MonthCost] = defaultdict(lambda: MonthCost(month))
    for project_id, of, outcome, quantity in _counts(conn, month, category):
        if of == month:
            found[project_id].add(outcome, quantity)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].happened, pair[0])))


def _first_month(now: datetime) -> date:
    month = month_of(now)
    years, number = divmod(month.year * 12 + month.month - 1 - MONTHS_SHOWN, 12)
    return date(years, number + 1, 1)


def _counts(
    conn: Connection, since: date, category: Category, project_id: int | None = None
) -> Iterator[tuple[int, date, str, int]]:
    """Yield project, month, outcome and quantity. Days that are still kept are added up here."""
    items, of = item_counts.c, outcome_months.c
    total = cast(func.sum(items.quantity), BigInteger)  # PostgreSQL sums to a Decimal.
    days = select(items.project_id, items.day, total).group_by(items.project_id, items.day)
    days = days.where(items.item_type == _ITEM_TYPES[category], items.day >= since)
    months = select(of.project_id, of.day, of.outcome, of.quantity)
    months = months.where(of.category == category, of.day >= since)
    if project_id is not None:
        days = days.where(items.project_id == project_id)
        months = months.where(of.project_id == project_id)
    for project, day, quantity in conn.execute(days):
        yield project, month_of(day), STORED, int(quantity)
    for project, month, outcome, quantity in conn.execute(months):
        yield project, month, outcome, int(quantity)


def this_month(now: datetime) -> date:
    """Return the first day of the running month, in UTC."""
    return month_of(now.astimezone(UTC))
