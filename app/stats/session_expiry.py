"""Expiry of sessions. Sessions that cannot change any more expire like other counts
(:mod:`.expiry`).
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select, update

from app.stats.expiry import expire_series, roll_up_series
from app.stats.row_bounds import series_beyond
from app.stats.sessions import SESSIONS, SESSIONS_OPEN, session_series
from app.stats.tables import known_sessions, session_users
from app.store import Store, delete_in_batches

# Rows of users that a project keeps over all days, about 40 bytes each.
MAX_USERS_KEPT = 2_000_000


def settle(store: Store, now: datetime) -> None:
    """Remove known sessions that cannot change any more, and sum up their minutes to hours.

    The order matters: an update changes the counts in the minute of its session.
    """
    first_day = (now - SESSIONS_OPEN).date()
    first_minute = (first_day - date(1970, 1, 1)).days * 1440
    delete_in_batches(store, known_sessions, known_sessions.c.minute < first_minute)
    roll_up_series(store, SESSIONS, now)


def expire(store: Store, now: datetime) -> None:
    """Remove the oldest days of sessions, with their users."""
    expire_series(store, SESSIONS, now)


def bound_users(store: Store) -> None:
    """Remove the users of each project's oldest days beyond MAX_USERS_KEPT. The counts stay."""
    of = session_series.c
    users = select(of.id.label("series_id"), of.users.label("count")).where(of.users > 0)
    beyond = series_beyond(store, session_series, users, MAX_USERS_KEPT)
    for series_id in beyond:
        delete_in_batches(store, session_users, session_users.c.series_id == series_id)
        with store.write(durable=False) as conn:
            conn.execute(update(session_series).where(of.id == series_id).values(users=0))
