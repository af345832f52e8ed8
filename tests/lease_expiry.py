"""Expiry of leases in tests; on PostgreSQL leases use a clock that no test can set."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from app.store import Store
from app.store.tables import leases


def let_leases_pass(store: Store, time: timedelta) -> None:
    """Make every lease expire earlier by ``time``, as if this time had passed."""
    with store.write() as conn:
        for name, until in conn.execute(select(leases.c.name, leases.c.until)).all():
            moved = update(leases).where(leases.c.name == name).values(until=until - time)
            conn.execute(moved)
