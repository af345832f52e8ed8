"""Slows down who guesses passwords."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from app.accounts.tables import login_attempts
from app.db import Store, insert, utc_now

# Five tries are what a person needs; from then on the wait doubles, up to a quarter of an hour.
FREE_FAILURES = 5
MAX_LOCK = timedelta(minutes=15)


class LoginThrottle:
    """Slows down who guesses passwords: a row for each address and each user name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def locked_for(self, *keys: str) -> timedelta:
        """Return how long the next try has to wait; zero when it may come now."""
        now = utc_now()
        with self._store.read() as conn:
            query = select(login_attempts.c.locked_until)
            found = conn.execute(query.where(login_attempts.c.key.in_(map(_digest, keys))))
            until = [row.locked_until for row in found if row.locked_until]
        return max([moment - now for moment in until], default=timedelta())

    def failed(self, *keys: str) -> None:
        """Count a failure for each key and lock those that have too many."""
        now = utc_now()
        with self._store.write() as conn:
            for key in map(_digest, keys):
                query = select(login_attempts).where(login_attempts.c.key == key)
                known = conn.execute(query).first()
                stale = known is None or now - known.last_at > 2 * MAX_LOCK
                failures = 1 if stale or known is None else known.failures + 1
                values = {
                    "failures": failures,
                    "last_at": now,
                    "locked_until": _lock(now, failures),
                }
                statement = insert(conn, login_attempts).values(key=key, **values)
                conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def succeeded(self, *keys: str) -> None:
        """Forget the failures."""
        with self._store.write() as conn:
            conn.execute(delete(login_attempts).where(login_attempts.c.key.in_(map(_digest, keys))))


def _lock(now: datetime, failures: int) -> datetime | None:
    if failures < FREE_FAILURES:
        return None
    return now + min(MAX_LOCK, timedelta(seconds=2 ** min(failures - FREE_FAILURES + 1, 20)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
