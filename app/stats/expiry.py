"""Counts grow old: minutes become hours, and go in the end; in bites, as nobody may wait long.

What is added to an hour and taken from its minutes is one transaction, so a count is never seen
twice or not at all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)

from app.stats import metrics
from app.stats.series import add_on_conflict
from app.stats.tables import (
    ai_hours,
    ai_series,
    metric_buckets,
    metric_points,
    metric_series,
    timing_series,
    timings,
)
from app.store import Store

# Rows that a transaction removes, or some more: some 20 ms of the store's only writer.
BITE = 1000

_OF = bindparam("of", type_=Integer)
_HOUR = bindparam("hour", type_=Integer)


def _rest(table: Any) -> tuple[ColumnElement[bool], ...]:
    """An hour's rows but for those of its first minute, which the others are added to."""
    return table.c.series_id == _OF, table.c.minute > _HOUR, table.c.minute < _HOUR + 60


class Rows:
    """A table of rows by series and minute.

    :param sums: of a minute's columns, in the table's order, what an hour has.
    :param adding: returns an INSERT that adds to rows that are there, for a dialect.
    """

    def __init__(
        self,
        table: Table,
        sums: Sequence[ColumnElement[Any]],
        adding: Callable[[str, Callable[[Any], Any]], Any],
    ) -> None:
        self.table = table
        key = tuple(table.primary_key)
        further = [column for column in key if column.name not in ("series_id", "minute")]
        self._hours = select(_OF, _HOUR, *further, *sums).where(*_rest(table)).group_by(*further)
        self._remove = delete(table).where(*_rest(table))
        self._adding = adding
        # Built once: putting this statement together takes longer than executing it.
        self._addition = functools.cache(self._build)

    def roll_up(self, conn: Connection, series_id: int, hour: int) -> int:
        """Put an hour's minutes together and return how many rows that spared."""
        which = {"of": series_id, "hour": hour}
        conn.execute(self._addition(conn.dialect.name), which)
        return conn.execute(self._remove, which).rowcount

    def _build(self, dialect: str) -> Any:
        names = self.table.c.keys()
        return self._adding(dialect, lambda insert: insert.from_select(names, self._hours))


class Aged(NamedTuple):
    """Series with their rows; the first of the tables has every minute that the others have."""

    series: Table
    rows: tuple[Rows, ...]


def _last_of_hour() -> ColumnElement[Any]:
    of = metric_points.alias()
    newest = of.c.last_at.desc(), of.c.minute.desc()
    return select(of.c.last).where(*_rest(of)).order_by(*newest).limit(1).scalar_subquery()


def _adding(table: Table) -> Callable[[str, Callable[[Any], Any]], Any]:
    return lambda dialect, rows: add_on_conflict(dialect, table, rows)


_TIMED = timings
_POINTS, _BUCKETS = metric_points.c, metric_buckets.c
AGED = (
    Aged(
        timing_series,
        (
            Rows(
                _TIMED,
                (func.sum(_TIMED.c.requests), func.sum(_TIMED.c.failures)),
                _adding(_TIMED),
            ),
        ),
    ),
    Aged(
        metric_series,
        (
            Rows(
                metric_points,
                (
                    func.sum(_POINTS.quantity),
                    func.sum(_POINTS.sum),
                    func.min(_POINTS.least),
                    func.max(_POINTS.most),
                    _last_of_hour(),
                    func.max(_POINTS.last_at),
                ),
                functools.partial(metrics.add_on_conflict, metric_points),
            ),
            Rows(
                metric_buckets,
                (func.sum(_BUCKETS.quantity),),
                _adding(metric_buckets),
            ),
        ),
    ),
)


def roll_up(store: Store, before: date) -> None:
    """Make hours of the minutes of the days before one."""
    for aged in AGED:
        _roll_up(store, aged, before)


def forget(store: Store, before: date) -> None:
    """Remove the days before one; of what has minutes, those that are rolled up."""
    for aged in AGED:
        tables = tuple(rows.table for rows in aged.rows)
        _forget(store, aged.series, tables, _of_days(aged.series, before, rolled=True))
    _forget(store, ai_series, (ai_hours,), select(ai_series.c.id).where(ai_series.c.day < before))


def _roll_up(store: Store, aged: Aged, before: date) -> None:
    old = _of_days(aged.series, before, rolled=False).limit(BITE)
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old))
            _roll_up_bite(conn, aged, ids)
        if not ids:
            return


def _forget(store: Store, series: Table, tables: Sequence[Table], old: Any) -> None:
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old.limit(BITE // 10)))
            if not ids:
                return
            if all(_remove_bite(conn, table, ids) < BITE for table in tables):
                conn.execute(delete(series).where(series.c.id.in_(ids)))


def _remove_bite(conn: Connection, table: Table, ids: list[int]) -> int:
    key = tuple(table.primary_key)
    bite = select(*key).where(table.c.series_id.in_(ids)).limit(BITE)
    return conn.execute(delete(table).where(tuple_(*key).in_(bite))).rowcount


def _of_days(series: Table, before: date, *, rolled: bool) -> Any:
    query = select(series.c.id).where(series.c.rolled.is_(rolled))
    return query.where(series.c.day < before).order_by(series.c.day)


def _roll_up_bite(conn: Connection, aged: Aged, ids: list[int]) -> None:
    """Roll up one series after the other until there are rows enough; the last may be in part."""
    whole, spared = [], 0
    following = _next_minute(aged.rows[0].table)
    for series_id in ids:
        while spared < BITE and (minute := conn.scalar(following, {"of": series_id})) is not None:
            hour = minute - minute % 60
            spared += sum(rows.roll_up(conn, series_id, hour) for rows in aged.rows)
        if spared >= BITE:
            break
        whole.append(series_id)
        spared += 1
    if whole:
        done = aged.series.c.id.in_(whole)
        conn.execute(update(aged.series).where(done).values(rolled=True))


def _next_minute(table: Table) -> Any:
    """Select the first minute of a series that is no hour's first one."""
    query = select(table.c.minute).where(table.c.series_id == _OF, table.c.minute % 60 != 0)
    return query.order_by(table.c.minute).limit(1)
