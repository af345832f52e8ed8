"""Settling: what became of an envelope that was sent, into its row and into the books."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, update

from app.db import utc_now
from app.delivery import books, tables  # noqa: F401 -- the tables belong to the schema
from app.events.tables import envelopes


class Outcome(NamedTuple):
    """How one attempt ended.

    :param cause: why Sentry does not have it; ``None`` when Sentry accepted it.
    """

    uid: str
    cause: str | None = None


def settle(conn: Connection, outcomes: list[Outcome]) -> None:
    """Write outcomes; only what is still pending changes, so that a late one does no harm."""
    now = utc_now()
    accepted = [outcome.uid for outcome in outcomes if outcome.cause is None]
    pending = update(envelopes).where(envelopes.c.state == "pending")
    statement = pending.where(envelopes.c.uid.in_(accepted)).values(
        state="delivered", reason=None, settled_at=now
    )
    delivered = len(conn.execute(statement.returning(envelopes.c.id)).all()) if accepted else 0
    books.add(conn, {"state:pending": -delivered, "state:delivered": delivered})
    for uid, cause in outcomes:
        if cause is not None:
            row = pending.where(envelopes.c.uid == uid)
            conn.execute(row.values(reason=cause[:200], settled_at=now))
