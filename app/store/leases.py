"""Leases: work that only one process at a time may do, as rows that run out by themselves.

A holder that was killed is noticed at once by those who can look: processes of the same kernel and
the same process namespace. Everybody else waits until the lease has run out, by the clock of the
database server: hosts whose clocks differ agree on when that is.
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
    """Return a name for whoever asks in this process, unique among processes and hosts.

    ``host:pid:start:where:random``; the host is for people, the rest tells whether it still lives.
    """
    started = _started(os.getpid())
    host = socket.gethostname().replace(":", "-")[:30]
    return f"{host}:{os.getpid()}:{started}:{_where()}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Return whether an owner's process is known to have ended; ``False`` where nobody can tell."""
    try:
        _, pid, started, where, _ = owner.split(":")
        if not where or where != _where():
            return False
        found = _started(int(pid))
        # Of another user, where /proc hides those, there is nothing to see but that it exists.
        return found != started and (bool(found) or not psutil.pid_exists(int(pid)))
    except ValueError:
        return False


def claim(store: Store, name: str, owner: str, lasts: timedelta) -> bool:
    """Take or renew a lease; ``False`` while another owner that may live holds it.

    :param owner: of :func:`new_owner`, or any other unique name.
    """
    with store.read() as conn:
        holder, is_good = _held(conn, name) or (owner, False)
    is_ended = is_dead(holder)
    if holder != owner and is_good and not is_ended:
        return False  # Asked often by many: without the write that would only tell the same.
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
    """Give a lease back, if it is still ours, so that the next one need not wait."""
    with store.write(durable=False) as conn:
        conn.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def _held(conn: Connection, name: str) -> tuple[str, bool] | None:
    """Return who holds a lease and whether it is still good."""
    is_good = leases.c.until > _clock(conn)
    row = conn.execute(select(leases.c.owner, is_good).where(leases.c.name == name)).first()
    return (row[0], bool(row[1])) if row else None


def _clock(conn: Connection, later: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time that all holders agree on, as SQL: the server's where there is a server.

    The moment of the statement, not of the transaction, which may have waited for its turn.
    """
    if conn.dialect.name == "sqlite":
        return literal(utc_now() + later, UtcDateTime())  # All of them are on this host.
    now = func.clock_timestamp(type_=DateTime(timezone=True))
    return now + literal(later, Interval())


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the boot, which no change of the clock moves.

    Empty where there is nothing to see, ``ended`` for one that nobody has waited for yet.
    Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] in "ZXx" else fields[19]


@functools.cache
def _where() -> str:
    """Name the kernel's boot and the process namespace; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
