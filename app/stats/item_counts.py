"""Counts of items by type and day. The transaction that accepts the envelopes writes them.

Unknown item types are counted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, func, select

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
        "nel",
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
        "unreal_report",
        "user_report",
    }
)
OTHER = "other"

# Items by type: one of ITEM_TYPES, or OTHER. There is one row for each type and day. A quarter of a
# year shows what a release changed.
ITEMS = DailyCounts("item_counts", keys=(Key("item_type", 40),))
item_counts = ITEMS.table


class ItemKey(NamedTuple):
    """The unique key of a count of items on a day."""

    project_id: int
    item_type: str


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
