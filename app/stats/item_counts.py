"""What comes besides events: items counted by type and day, and what clients say they lost.

Both are written in the transaction that accepts the envelopes, and both are bounded: types that the
protocol does not know are counted together, and so is what goes beyond a day's losses.
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

# Of ITEM_TYPES, or OTHER. A row each a day; a quarter shows what a release changed.
ITEMS = DailyCounts("item_counts", keys=(Key("item_type", 40),))
LOSSES = DailyCounts(
    "client_losses",
    # A client is "name version".
    keys=(Key("client", 100, OTHER), Key("reason", 64, OTHER), Key("category", 64, OTHER)),
    # Distinct losses that a project may report in a day: a fleet of a hundred versions, say.
    max_keys=1000,
)
item_counts, client_losses = ITEMS.table, LOSSES.table

UNKNOWN_CLIENT = "unknown client"
# A client does these on purpose, as it was set up; the others are losses.
BY_CHOICE = frozenset({"sample_rate", "before_send", "event_processor", "ignored", "filtered"})


class ItemKey(NamedTuple):
    """What a count of items is alone with, in a day."""

    project_id: int
    item_type: str


class LossKey(NamedTuple):
    """What a count of losses is alone with, in a day."""

    project_id: int
    client: str
    reason: str
    category: str


class ClientLoss(NamedTuple):
    """What one client lost for one reason; ``last_day`` is when it last said so."""

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date

    @property
    def is_by_choice(self) -> bool:
        """Whether the client left it out on purpose."""
        return self.reason in BY_CHOICE


def count_types(item_types: Iterable[str]) -> Counter[str]:
    """Return how many items there are of each of :data:`ITEM_TYPES`, and of others."""
    return Counter(name if name in ITEM_TYPES else OTHER for name in item_types)


def items_by_type(conn: Connection, project_id: int | None = None) -> dict[str, int]:
    """Return how many items came, by type, the most first.

    :param project_id: only those of this project.
    """
    total = func.sum(item_counts.c.quantity)
    query = select(item_counts.c.item_type, total).group_by(item_counts.c.item_type)
    if project_id is not None:
        query = query.where(item_counts.c.project_id == project_id)
    rows = conn.execute(query.order_by(total.desc(), item_counts.c.item_type))
    return {item_type: int(quantity) for item_type, quantity in rows}


def losses(conn: Connection, project_id: int | None = None, limit: int = 100) -> list[ClientLoss]:
    """Return what clients lost, real losses first, the largest of them first.

    :param project_id: only what clients of this project lost.
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
