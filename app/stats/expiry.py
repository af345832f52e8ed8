"""Expiry of counts: sum minutes up to hours, and remove the oldest days.

It works in batches, so that other writers do not wait long. One transaction adds counts to an hour
and removes them from its minutes. So a reader never sees a count twice or misses it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)

from app.stats import declared
from app.stats.additive import AGGREGATES, AdditiveSeries, Counts, newest
from app.store import Store, delete_in_batches, upsert
from app.store.batches import BATCH_ROWS

_OF = bindparam("of", type_=Integer)
_HOUR = bindparam("hour", type_=Integer)


def roll_up(store: Store, now: datetime) -> None:
    """Sum up old minutes to hours, for all declared series."""
    for series in declared.SERIES:
        roll_up_series(store, series, now)


def expire(store: Store, now: datetime) -> None:
    """Remove the oldest days of all declared series and daily counts."""
    for series in declared.SERIES:
        expire_series(store, series, now)
    for daily in declared.DAILY:
        before = _day(now, daily.days_kept)
        delete_in_batches(store, daily.table, daily.table.c.day < before)


def roll_up_series(store: Store, series: AdditiveSeries, now: datetime) -> None:
    """Sum up the minutes of one declaration to hours, if they are old enough."""
    if series.minutes_kept is None:
        return
    old = _of_days(series.table, _day(now, series.minutes_kept), rolled=False).limit(BATCH_ROWS)
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old))
            _roll_up_batch(conn, series, ids)
        if not ids:
            return


def expire_series(
    store: Store, series: AdditiveSeries, now: datetime, kept: timedelta | None = None
) -> None:
    """Remove the oldest days of one declaration. Days with minutes must be summed up before.

    :param kept: how long series are kept, if that is less than the declaration says.
    """
    rolled = None if series.minutes_kept is None else True
    old = _of_days(series.table, _day(now, kept or series.hours_kept), rolled=rolled)
    tables = (*series.further, *(counts.table for counts in series.counts))
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old.limit(BATCH_ROWS // 10)))
            if not ids:
                return
            if all(_remove_batch(conn, table, ids) < BATCH_ROWS for table in tables):
                conn.execute(delete(series.table).where(series.table.c.id.in_(ids)))


def _day(now: datetime, kept: timedelta) -> date:
    return (now - kept).date()


def _of_days(table: Table, before: date, *, rolled: bool | None) -> Any:
    query = select(table.c.id).where(table.c.day < before).order_by(table.c.day)
    return query if rolled is None else query.where(table.c.rolled.is_(rolled))


def _remove_batch(conn: Connection, table: Table, ids: list[int]) -> int:
    key = tuple(table.primary_key)
    batch = select(*key).where(table.c.series_id.in_(ids)).limit(BATCH_ROWS)
    return conn.execute(delete(table).where(tuple_(*key).in_(batch))).rowcount


def _roll_up_batch(conn: Connection, series: AdditiveSeries, ids: Sequence[int]) -> None:
    """Sum up one series after the other until a batch is full. The last one may be incomplete."""
    whole, spared = [], 0
    following = _next_minute(series.counts[0].table)
    for series_id in ids:
        while (
            spared < BATCH_ROWS
            and (minute := conn.scalar(following, {"of": series_id})) is not None
        ):
            hour = {"of": series_id, "hour": minute - minute % 60}
            spared += sum(_roll_up_hour(conn, counts, hour) for counts in series.counts)
        if spared >= BATCH_ROWS:
            break
        whole.append(series_id)
        spared += 1
    if whole:
        done = series.table.c.id.in_(whole)
        conn.execute(update(series.table).where(done).values(rolled=True))


def _next_minute(table: Table) -> Any:
    """Select the first minute of a series that is not the first of an hour."""
    query = select(table.c.minute).where(table.c.series_id == _OF, table.c.minute % 60 != 0)
    return query.order_by(table.c.minute).limit(1)


def _roll_up_hour(conn: Connection, counts: Counts, hour: dict[str, int]) -> int:
    """Sum up the minutes of an hour. Return how many rows were removed."""
    addition, removal = _roll_up_statements(conn.dialect.name, counts)
    conn.execute(addition, hour)
    return conn.execute(removal, hour).rowcount


# These statements are built once, because building them takes longer than executing them.
@functools.cache
def _roll_up_statements(dialect: str, counts: Counts) -> tuple[Any, Any]:
    table, rest = counts.table, _rest(counts.table)
    further = [table.c.bucket] if counts.buckets else []
    values = (_of_hour(table, name, rule) for name, rule in counts.rules.items())
    hours = select(_OF, _HOUR, *further, *values).where(*rest).group_by(*further)
    return upsert(dialect, table, hours, **counts.rules), delete(table).where(*rest)


def _rest(table: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for an hour's rows, without its first minute. The other rows are added
    to the first minute.
    """
    return table.c.series_id == _OF, table.c.minute > _HOUR, table.c.minute < _HOUR + 60


def _of_hour(table: Table, name: str, rule: Any) -> Any:
    if rule is not newest:
        return AGGREGATES[rule](table.c[name])
    of = table.alias()
    latest = of.c[f"{name}_at"].desc(), of.c.minute.desc()
    return select(of.c[name]).where(*_rest(of)).order_by(*latest).limit(1).scalar_subquery()
