"""Count what becomes of envelopes by project and month, beside the counters of the accounting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from app.events.states import EnvelopeState
from app.stats.months import DELIVERED, DISCARDED, MonthKey, add_months, category_of_items, month_of

# The length of the column, after the prefix.
MAX_REASON = 64


def move_months(conn: Connection, changes: Iterable[tuple[Any, str, str | None]]) -> None:
    """Move envelopes from one outcome of their month to another.

    :param changes: an envelope's row before the change, its new state and reason. The row has
        ``project_id``, ``item_types``, ``received_at``, ``state`` and ``reason``.
    """
    counts: Counter[MonthKey] = Counter()
    for row, state, reason in changes:
        category = category_of_items(row.item_types.split(","))
        month = month_of(row.received_at)
        for outcome, by in ((_outcome(row.state, row.reason), -1), (_outcome(state, reason), 1)):
            if outcome:
                counts[row.project_id, category, outcome, month] += by
    add_months(conn, counts)


def _outcome(state: str, reason: str | None) -> str:
    """Return the outcome of a state that is final, and empty for others."""
    if state == EnvelopeState.DELIVERED:
        return DELIVERED
    return f"{DISCARDED}{(reason or '')[:MAX_REASON]}" if state == EnvelopeState.DISCARDED else ""
