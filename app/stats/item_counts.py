"""Counts of items by type and day, and of losses that clients report.

The transaction that accepts the envelopes writes both. Both are limited: unknown item types are
counted together, and so are losses beyond the limit of a day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, cast, func, select

from app.stats.additive import DailyCounts, Key

# Source: https://develop.sentry.dev/sdk/data-model/envelope-items/, 2026-11-24.
ITEM_TYPES = frozenset(
    {
        "attachment",
        "check_in",
        "client_report",
        "event",
        "feedback",
        "log",
        "metric_buckets",
        "profile",
        "profile_chunk",
        "raw_security",
        "replay_event",
        "replay_recording",
        "replay_video",
        "security",
        "session",
        "sessions",
        "span",
        "statsd",
        "trace_metric",
        "transaction",
        "user_report",
    }
)
OTHER = "other"

# Items by type: one of ITEM_TYPES, or OTHER. There is one row for each type and day. A quarter of a
# year shows what a release changed.
ITEMS = DailyCounts("item_counts", keys=(Key("item_type", 40),))
LOSSES = DailyCounts(
    "client_losses",
    # A client is written as "name version".
    keys=(Key("client", 100, OTHER), Key("reason", 64, OTHER), Key("category", 64, OTHER)),
    # Distinct losses that a project may report in a day, for example from a hundred versions.
    max_keys=1000,
)
item_counts, client_losses = ITEMS.table, LOSSES.table

UNKNOWN_CLIENT = "unknown client"
# Clients discard items for these reasons on purpose, by their configuration. Others are losses.
BY_CHOICE = frozenset({"sample_rate", "before_send", "event_processor", "ignored", "filtered"})


class ItemKey(NamedTuple):
    """The unique key of a count of items on a day."""

    project_id: int
    item_type: str


class LossKey(NamedTuple):
    """The unique key of a count of losses on a day."""

    project_id: int
    client: str
    reason: str
    category: str


class ClientLoss(NamedTuple):
    """How many items a client lost for one reason. ``last_day`` is the day of its last report."""

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date

    @property
    def is_by_choice(self) -> bool:
        """Whether the client discarded the items on purpose."""
        return self.reason in BY_CHOICE


def count_types(item_types: Iterable[str]) -> Counter[str]:
    """Return the number of items of each of :data:`ITEM_TYPES`, and of all others as OTHER."""
    return Counter(name if name in ITEM_TYPES else OTHER for name in item_types)


def items_by_type(conn: Connection, project_id: int | None = None) -> dict[str, int]:
    """Return the number of received items by type, the largest number first.

    :param project_id: count only items of this project.
    """
    total = func.sum(item_counts.c.quantity)
    query = select(item_counts.c.item_type, total).group_by(item_counts.c.item_type)
    if project_id is not None:
        query = query.where(item_counts.c.project_id == project_id)
    rows = conn.execute(query.order_by(total.desc(), item_counts.c.item_type))
    return {item_type: int(quantity) for item_type, quantity in rows}


def losses(conn: Connection, project_id: int | None = None, limit: int = 100) -> list[ClientLoss]:
    """Return what clients lost: losses first, then items discarded on purpose, each by quantity.

    :param project_id: return only losses of this project's clients.
    :param limit: the most rows.
    """
    table = client_losses
    of = (table.c.project_id, table.c.client, table.c.reason, table.c.category)
    total = cast(func.sum(table.c.quantity), BigInteger)  # PostgreSQL sums to a Decimal.
    query = select(*of, total, func.max(table.c.day)).group_by(*of)
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    by_choice = table.c.reason.in_(sorted(BY_CHOICE))
    rows = conn.execute(query.order_by(by_choice, total.desc(), *of).limit(limit))
    return [ClientLoss(*row) for row in rows]
