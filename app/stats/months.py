"""What a project's events cost, by month: how many there were, and what became of them.

    item_counts     items by day, kept for 90 days ──▶ ``stored`` of their month, when they expire
    deliveries      each change of an envelope's outcome, by the month in which it was received
    refusals        what the quota or a full store refused

A month is that of receipt, in UTC. So the numbers of a month always belong together, and those of
a past month change when a late envelope is delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, delete, select

from app.protocol.rate_limits import categories_of
from app.stats.additive import DailyCounts, Key
from app.stats.counting import count_day
from app.stats.item_counts import ITEM_TYPES, ITEMS, OTHER
from app.store import Store

# Thirteen whole months and the running one.
MONTHS_SHOWN = 13
# Outcomes of envelopes. A discarded or refused one has its reason after the colon.
STORED, DELIVERED, DISCARDED, REFUSED = "stored", "delivered", "discarded:", "refused:"
# The day of a count is the first of its month. There are about ten categories and outcomes each.
MONTHS = DailyCounts(
    "outcome_months",
    keys=(Key("category", 40), Key("outcome", 80)),
    days_kept=timedelta(days=31 * (MONTHS_SHOWN + 1)),
)
outcome_months = MONTHS.table

# Project, category, outcome and first day of the month.
MonthKey = tuple[int, str, str, date]


def month_of(moment: date | datetime) -> date:
    """Return the first day of the month, in UTC."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    return moment.replace(day=1)


def category_of_items(item_types: Iterable[str]) -> str:
    """Return the category under which an envelope is counted: that of its event or transaction, or
    else of its first item. Unknown types share one category.
    """
    kinds = list(item_types)
    main = [kind for kind in kinds if kind in ("event", "transaction")] or kinds
    return next((categories_of(kind)[0] for kind in main if kind in ITEM_TYPES), OTHER)


def add_months(conn: Connection, counts: Counter[MonthKey]) -> None:
    """Add to the counts of months. The caller commits."""
    by_month: dict[date, Counter[tuple[int, str, str]]] = {}
    for (*key, month), count in counts.items():
        if count:
            by_month.setdefault(month, Counter())[tuple(key)] += count  # type: ignore[index]
    for month, some in sorted(by_month.items()):
        count_day(conn, MONTHS, some, month)


def roll_up_months(store: Store, now: datetime) -> None:
    """Add the items of days that expire to their month, and remove these days."""
    items = ITEMS.table.c
    before = (now - ITEMS.days_kept).date()
    while True:
        with store.write() as conn:
            oldest = select(items.day).where(items.day < before).order_by(items.day).limit(1)
            day = conn.scalar(oldest)
            if day is None:
                return
            of_day = select(items.project_id, items.item_type, items.quantity)
            rows = conn.execute(of_day.where(items.day == day))
            stored: Counter[MonthKey] = Counter()
            for key, quantity in _stored(rows, day):
                stored[key] += quantity
            add_months(conn, stored)
            conn.execute(delete(ITEMS.table).where(items.day == day))


def _stored(rows: Iterable[tuple[int, str, int]], day: date) -> Iterator[tuple[MonthKey, int]]:
    for project_id, item_type, quantity in rows:
        yield (project_id, category_of_items([item_type]), STORED, month_of(day)), int(quantity)
