"""Leases: work that only one process at a time may do, as rows that run out by themselves."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Column, String, Table, or_

from app.db import Store, UtcDateTime, insert, metadata, utc_now

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)


def claim(store: Store, name: str, owner: str, lasts: timedelta) -> bool:
    """Take or renew a lease; ``False`` while another owner holds it.

    :param owner: who asks, unique among processes and hosts.
    """
    now = utc_now()
    with store.write() as conn:
        statement = insert(conn, leases).values(name=name, owner=owner, until=now + lasts)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "until": now + lasts},
            where=or_(leases.c.until <= now, leases.c.owner == owner),
        ).returning(leases.c.owner)
        return conn.execute(statement).first() is not None
