"""Leases: work that only one process at a time may do, as rows that run out by themselves.

A holder that was killed is noticed at once by those who can look: processes of the same kernel and
the same process namespace. Everybody else waits until the lease has run out.
"""

from __future__ import annotations

import functools
import os
import socket
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import Column, Connection, String, Table, delete, or_, select

from app.db import Store, UtcDateTime, insert, metadata, utc_now

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)


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
        held = _held(conn, name)
    now = utc_now()
    if held is not None and held[0] != owner and held[1] > now and not is_dead(held[0]):
        return False  # Asked often by many: without the write that would only tell the same.
    dead = held[0] if held is not None and is_dead(held[0]) else owner
    with store.write(durable=False) as conn:
        statement = insert(conn, leases).values(name=name, owner=owner, until=now + lasts)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "until": now + lasts},
            where=or_(leases.c.until <= now, leases.c.owner.in_({owner, dead})),
        ).returning(leases.c.owner)
        return conn.execute(statement).first() is not None


def release(store: Store, name: str, owner: str) -> None:
    """Give a lease back, if it is still ours, so that the next one need not wait."""
    with store.write(durable=False) as conn:
        conn.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def _held(conn: Connection, name: str) -> tuple[str, datetime] | None:
    row = conn.execute(select(leases.c.owner, leases.c.until).where(leases.c.name == name)).first()
    return (row.owner, row.until) if row else None


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
