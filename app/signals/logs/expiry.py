"""What is kept of logs: an age and a size of their own, so that they push out no errors."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from app.signals.logs.removing import remove_lines
from app.signals.logs.tables import log_blocks, log_lines
from app.store import Store


def expire_lines(store: Store, days: int, max_bytes: int, now: datetime) -> int:
    """Remove lines that are too old or too many, and return how many.

    :param days: 0 means no limit. :param max_bytes: 0 means no limit.
    """
    gone = remove_lines(store, log_lines.c.at < now - timedelta(days=days)) if days else 0
    with store.read() as conn:
        beyond = bytes_of_lines(conn) - max_bytes if max_bytes else 0
    return gone + (remove_lines(store, at_most_bytes=beyond) if beyond > 0 else 0)


def bytes_of_lines(conn: Connection) -> int:
    """Return about how many bytes all lines take."""
    return int(conn.scalar(select(func.sum(log_blocks.c.size_bytes))) or 0)
