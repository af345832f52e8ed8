"""Sessions grow old: they cannot change any more, then minutes become hours, and go in the end.

In bites, as nobody may wait long; what is added to an hour and taken from its minutes is one
transaction.
"""

from __future__ import annotations

import functools
from datetime import date
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, select, update

from app.stats.expiry import BITE
from app.stats.series import add_on_conflict
from app.stats.tables import known_sessions, session_counts, session_series, session_users
from app.store import Store, delete_in_batches

# Rows of users that a project keeps over all days; some 40 bytes each.
MAX_USERS_KEPT = 2_000_000
# A series has at most 1440 minutes.
SERIES_BITE = 2

_OF: BindParameter[int] = bindparam("ids", expanding=True)
_MINUTES = session_counts.c.series_id.in_(_OF), session_counts.c.minute % 60 != 0
_REMOVE_MINUTES = delete(session_counts).where(*_MINUTES)


def settle(store: Store, before: date) -> None:
    """Forget the sessions of the days before one, and make hours of the minutes they are in.

    In this order: what moves a session moves it in its minute.
    """
    first_minute = before.toordinal() - date(1970, 1, 1).toordinal()
    delete_in_batches(store, known_sessions, known_sessions.c.minute < first_minute * 1440)
    old = _of_days(before, rolled=False).limit(SERIES_BITE)
    while True:
        with store.write() as conn:
            ids = list(conn.scalars(old))
            if not ids:
                return
            _roll_up(conn, ids)


def forget(store: Store, before: date) -> None:
    """Remove the days before one, which are rolled up, with whose they were."""
    while True:
        with store.read() as conn:
            ids = list(conn.scalars(_of_days(before, rolled=True).limit(BITE // 20)))
        if not ids:
            return
        for table in (session_users, session_counts):
            for series_id in ids:
                delete_in_batches(store, table, table.c.series_id == series_id)
        with store.write() as conn:
            conn.execute(delete(session_series).where(session_series.c.id.in_(ids)))


def bound_users(store: Store) -> None:
    """Remove the users of each project's oldest days beyond those that are kept; counts stay."""
    of = session_series.c
    newest = of.day.desc(), of.id.desc()
    kept = func.sum(of.users).over(partition_by=of.project_id, order_by=newest)
    counted = select(of.id, kept.label("kept")).where(of.users > 0).subquery()
    with store.read() as conn:
        beyond = list(conn.scalars(select(counted.c.id).where(counted.c.kept > MAX_USERS_KEPT)))
    for series_id in beyond:
        delete_in_batches(store, session_users, session_users.c.series_id == series_id)
        with store.write(durable=False) as conn:
            conn.execute(update(session_series).where(of.id == series_id).values(users=0))


def _of_days(before: date, *, rolled: bool) -> Any:
    query = select(session_series.c.id).where(session_series.c.rolled.is_(rolled))
    return query.where(session_series.c.day < before).order_by(session_series.c.day)


def _roll_up(conn: Connection, ids: list[int]) -> None:
    conn.execute(_hours(conn.dialect.name), {"ids": ids})
    conn.execute(_REMOVE_MINUTES, {"ids": ids})
    done = session_series.c.id.in_(ids)
    conn.execute(update(session_series).where(done).values(rolled=True))


@functools.cache
def _hours(dialect: str) -> Any:
    of = session_counts.c
    hour = (of.minute - of.minute % 60).label("hour")
    sums = [func.sum(of[name]) for name in ("sessions", "errored", "abnormal", "crashed")]
    hours = select(of.series_id, hour, *sums).where(*_MINUTES).group_by(of.series_id, hour)
    return add_on_conflict(
        dialect, session_counts, lambda statement: statement.from_select(of.keys(), hours)
    )
