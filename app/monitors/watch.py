"""When nobody watched: a check-in that was sent then may have been lost.

The process that holds the lease of the monitors notes the time at which it looked, and so does
every process that waits for the lease: it takes check-ins, too. A gap is an outage, whatever the
reason: the service was stopped, its host was down, or its store was not writable. SDKs send a
check-in once. A lease that passes from one process to another is no outage by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from app.monitors.machine import Outage
from app.monitors.tables import monitor_outages, monitor_watch, monitors
from app.store import Store, replaced, upsert

NAME = "worker"
NOTED_EVERY = timedelta(seconds=10)
AWAY_AFTER = timedelta(seconds=30)
# The latest outages that are kept and looked at.
MAX_OUTAGES = 200


def keep_watch(store: Store, now: datetime) -> None:
    """Note that this process is there, while another one holds the lease of the monitors.

    :raise StoreError: the store does not answer.
    """
    with store.read() as conn:
        if not is_note_due(conn, now):
            return
    with store.write(durable=False) as conn:
        look(conn, now)


def is_note_due(conn: Connection, now: datetime) -> bool:
    """Return whether there are monitors, and the last note is old."""
    if conn.execute(select(monitors.c.id).limit(1)).first() is None:
        return False
    last = last_look(conn)
    return last is None or now - last >= NOTED_EVERY


def last_look(conn: Connection) -> datetime | None:
    """Return when a process last noted that it is there."""
    moment: datetime | None = conn.scalar(select(monitor_watch.c.at))
    return moment


def look(conn: Connection, now: datetime) -> list[Outage]:
    """Note that this process is there, and return the latest outages, the last one first."""
    last = last_look(conn)
    if last is None or now - last >= NOTED_EVERY:
        conn.execute(upsert(conn, monitor_watch, at=replaced), {"name": NAME, "at": now})
    if last is not None and now - last > AWAY_AFTER:
        conn.execute(monitor_outages.insert().values(began_at=last, ended_at=now))
    return outages(conn)


def outages(conn: Connection) -> list[Outage]:
    """Return the latest outages, the last one first."""
    columns = monitor_outages.c
    query = select(columns.began_at, columns.ended_at).order_by(columns.id.desc())
    return [Outage(*row) for row in conn.execute(query.limit(MAX_OUTAGES))]


def forget_outages(conn: Connection) -> None:
    """Remove all but the latest outages."""
    columns = monitor_outages.c
    last = select(columns.id).order_by(columns.id.desc()).offset(MAX_OUTAGES).limit(1)
    conn.execute(delete(monitor_outages).where(columns.id <= last.scalar_subquery()))
