"""Leases: work that only one process at a time may do, as rows that expire.

If a holder was killed, processes of the same kernel and the same process namespace notice it at
once. All other processes wait until the lease expires. The clock of the database server decides
when that is, so that hosts whose clocks differ agree on it.
"""

from __future__ import annotations

import functools
import os
import socket
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Interval,
    delete,
    func,
    literal,
    or_,
    select,
)

from app.store.columns import UtcDateTime, utc_now
from app.store.database import Store
from app.store.statements import replaced, upsert
from app.store.tables import leases


def new_owner() -> str:
    """Return a name for an owner in this process, unique among processes and hosts.

    The format is ``host:pid:start:where:random``. The host is for people. The other parts show
    whether the process still runs.
    """
    started = _started(os.getpid())
    host = socket.gethostname().replace(":", "-")[:30]
    return f"{host}:{os.getpid()}:{started}:{_where()}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Return whether an owner's process is known to have ended; ``False`` if it is not known."""
    try:
        _, pid, started, where, _ = owner.split(":")
        if not where or where != _where():
            return False
        found = _started(int(pid))
        # If /proc hides a process of another user, only its existence is visible.
        return found != started and (bool(found) or not psutil.pid_exists(int(pid)))
    except ValueError:
        return False


def claim(store: Store, name: str, owner: str, lasts: timedelta) -> bool:
    """Take or renew a lease. Return ``False`` while another owner that may live holds it.

    :param owner: from :func:`new_owner`, or any other unique name.
    :param lasts: how long the lease is valid.
    """
    with store.read() as conn:
        holder, is_good = _held(conn, name) or (owner, False)
    is_ended = is_dead(holder)
    if holder != owner and is_good and not is_ended:
        return False  # Many processes ask often. A write would only give the same answer.
    with store.write(durable=False) as conn:
        may_end = {owner, holder} if is_ended else {owner}
        statement = upsert(
            conn,
            leases,
            {"name": name, "owner": owner, "until": _clock(conn, lasts)},
            where=lambda old, new: or_(old.until <= _clock(conn), old.owner.in_(may_end)),
            owner=replaced,
            until=replaced,
        )
        return conn.execute(statement.returning(leases.c.owner)).first() is not None


def release(store: Store, name: str, owner: str) -> None:
    """Release a lease if this owner holds it, so that the next owner need not wait."""
    with store.write(durable=False) as conn:
        conn.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def _held(conn: Connection, name: str) -> tuple[str, bool] | None:
    """Return the owner of a lease, and whether the lease is still valid."""
    is_good = leases.c.until > _clock(conn)
    row = conn.execute(select(leases.c.owner, is_good).where(leases.c.name == name)).first()
    return (row[0], bool(row[1])) if row else None


def _clock(conn: Connection, later: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time that all holders agree on, as SQL. With a server it is the server's clock.

    This is the time of the statement. The transaction may have begun earlier and waited.
    """
    if conn.dialect.name == "sqlite":
        return literal(utc_now() + later, UtcDateTime())  # All holders are on this host.
    now = func.clock_timestamp(type_=DateTime(timezone=True))
    return now + literal(later, Interval())


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the boot. Changes of the clock do not move it.

    It is empty if the process is not visible, and ``ended`` if the process has ended but its
    parent has not waited for it yet. Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] in "ZXx" else fields[19]


@functools.cache
def _where() -> str:
    """Return an id of the kernel's boot and the process namespace, empty without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
