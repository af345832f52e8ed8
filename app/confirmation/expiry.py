"""Retention: the results of asking are kept for a month."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update

from app.confirmation.asking import forget_apis
from app.confirmation.schedule import GIVE_UP
from app.confirmation.tables import State, confirmations
from app.store import Store, delete_in_batches

KEPT = timedelta(days=30)
NOT_ASKED = "Sentry could not be asked for two days"


def expire(store: Store, now: datetime) -> None:
    """Give up what could not be asked about for two days, and remove old rows."""
    columns = confirmations.c
    old = columns.accepted_at < now - GIVE_UP, columns.next_at.is_not(None)
    given_up = update(confirmations).where(*old).values(next_at=None)
    with store.write(durable=False) as conn:
        is_open = columns.state == State.OPEN
        conn.execute(given_up.where(is_open).values(state=State.UNKNOWN, reason=NOT_ASKED))
        conn.execute(given_up)
        forget_apis(conn, now)
    delete_in_batches(store, confirmations, columns.accepted_at < now - KEPT)
