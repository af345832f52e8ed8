"""Sum up old hours to days, and remove old days (:mod:`.windows`).

It works in batches, so that other writers do not wait long. One transaction adds counts to a day
and removes its hours. So a reader never sees a count twice or misses it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, select, tuple_

from app.inputs.period import DAYS_KEPT
from app.stats.windows import HOURS_A_DAY, first_hour_kept, hour_number
from app.store import Store, added, delete_in_batches, upsert
from app.store.batches import BATCH_ROWS


def roll_up_hours(store: Store, hours: Table, days: Table, now: datetime) -> None:
    """Sum up the hours of old days to days, and remove the days that are not kept any more.

    :param hours: a table of hours, with its id as the first column.
    :param days: the table of the days.
    """
    first_kept = first_hour_kept(now)
    while True:
        with store.write(durable=False) as conn:
            rows = _oldest(conn, hours, first_kept)
            _sum_up(conn, hours, days, rows)
        if len(rows) < BATCH_ROWS:
            break
    last = hour_number(now - DAYS_KEPT) // HOURS_A_DAY
    delete_in_batches(store, days, days.c.day < last)


def add_days(conn: Connection, days: Table, counts: Mapping[tuple[int, int], int]) -> None:
    """Add counts to days. The caller commits.

    :param counts: by id and day.
    """
    names = days.c.keys()
    rows = [
        dict(zip(names, (*key, events), strict=True))
        for key, events in sorted(counts.items())
        if events
    ]
    if rows:
        conn.execute(upsert(conn, days, events=added), rows)


def _oldest(conn: Connection, hours: Table, before: int) -> Sequence[Any]:
    number, hour = list(hours.c)[:2]
    query = select(number, hour, hours.c.events).where(hour < before)
    return conn.execute(query.order_by(hour).limit(BATCH_ROWS)).all()


def _sum_up(conn: Connection, hours: Table, days: Table, rows: Sequence[Any]) -> None:
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for number, hour, events in rows:
        counts[number, hour // HOURS_A_DAY] += events
    add_days(conn, days, counts)
    if rows:
        key = tuple_(*list(hours.c)[:2])
        conn.execute(delete(hours).where(key.in_([(row[0], row[1]) for row in rows])))
