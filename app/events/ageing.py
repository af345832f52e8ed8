"""Timings grow old: minutes become hours, and go in the end; in bites, as nobody may wait long.

What is added to an hour and taken from its minutes is one transaction, so a count is never seen
twice or not at all.
"""

from __future__ import annotations

import functools
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from app.db import Store
from app.events.series import add_on_conflict
from app.events.timings import timing_series, timings

# Rows that a transaction removes, or some more: some 20 ms of the store's only writer.
BITE = 2000

_OF = bindparam("of", type_=timings.c.series_id.type)
_HOUR = bindparam("hour", type_=timings.c.minute.type)
# An hour's rows but for those of its first minute, which the others are added to.
_REST = timings.c.series_id == _OF, timings.c.minute > _HOUR, timings.c.minute < _HOUR + 60
_NEXT = (
    select(timings.c.minute)
    .where(timings.c.series_id == _OF, timings.c.minute % 60 != 0)
    .order_by(timings.c.minute)
    .limit(1)
)
_REMOVE = delete(timings).where(*_REST)


def roll_up(store: Store, before: date) -> None:
    """Make hours of the minutes of the days before one."""
    old = _of_days(before, rolled=False).limit(BITE)
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old))
            _roll_up_bite(conn, ids)
        if not ids:
            return


def forget(store: Store, before: date) -> None:
    """Remove the days before one, which are rolled up."""
    key = timings.c.series_id, timings.c.minute, timings.c.bucket
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(_of_days(before, rolled=True).limit(BITE // 10)))
            if not ids:
                return
            bite = select(*key).where(timings.c.series_id.in_(ids)).limit(BITE)
            if conn.execute(delete(timings).where(tuple_(*key).in_(bite))).rowcount < BITE:
                conn.execute(delete(timing_series).where(timing_series.c.id.in_(ids)))


def _of_days(before: date, *, rolled: bool) -> Any:
    query = select(timing_series.c.id).where(timing_series.c.rolled.is_(rolled))
    return query.where(timing_series.c.day < before).order_by(timing_series.c.day)


def _roll_up_bite(conn: Connection, ids: list[int]) -> None:
    """Roll up one series after the other until there are rows enough; the last may be in part."""
    whole, rows = [], 0
    for series_id in ids:
        while rows < BITE and (minute := conn.scalar(_NEXT, {"of": series_id})) is not None:
            rows += _roll_up_hour(conn, series_id, minute - minute % 60)
        if rows >= BITE:
            break
        whole.append(series_id)
        rows += 1
    if whole:
        done = timing_series.c.id.in_(whole)
        conn.execute(update(timing_series).where(done).values(rolled=True))


def _roll_up_hour(conn: Connection, series_id: int, hour: int) -> int:
    which = {"of": series_id, "hour": hour}
    conn.execute(_addition(conn.dialect.name), which)
    return conn.execute(_REMOVE, which).rowcount


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _addition(dialect: str) -> Any:
    sums = func.sum(timings.c.requests), func.sum(timings.c.failures)
    hours = select(_OF, _HOUR, timings.c.bucket, *sums).where(*_REST).group_by(timings.c.bucket)
    return add_on_conflict(
        dialect, timings, lambda statement: statement.from_select(timings.c.keys(), hours)
    )
