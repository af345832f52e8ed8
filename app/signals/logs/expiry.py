"""What is kept of logs: an age and a size of their own, so that they push out no errors.

Projects share the size: beyond it, those with more than an equal share of it lose their oldest
lines. What projects do not use of their shares, the others may.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from app.signals.logs.removing import remove_lines
from app.signals.logs.tables import log_blocks, log_lines
from app.stats.expiry import expire_series
from app.stats.log_counts import LOGS
from app.store import Store
from app.store.paging import hidden


def expire_lines(store: Store, days: int, max_bytes: int, now: datetime) -> int:
    """Remove lines that are too old or too many, and return how many.

    :param days: 0 means no limit. :param max_bytes: 0 means no limit.
    """
    is_old = log_lines.c.at < now - timedelta(days=days)
    gone = remove_lines(store, is_old).lines if days else 0
    with store.read() as conn:
        beyond = bytes_of_lines(conn) - max_bytes if max_bytes else 0
        sizes = _bytes_of_projects(conn) if beyond > 0 else {}
    for project_id, excess in _excess(sizes, max_bytes).items():
        is_own = log_lines.c.project_id == project_id
        removed = remove_lines(store, is_own, at_most_bytes=min(excess, beyond))
        gone += removed.lines
        beyond -= removed.size_bytes
    return gone


def expire_counts(store: Store, days: int, now: datetime) -> None:
    """Remove the counts of days whose lines are too old, once their minutes are summed up.

    :param days: 0 means no limit; :data:`~app.stats.log_counts.LOGS` has one of its own.
    """
    if days:
        expire_series(store, LOGS, now, min(timedelta(days=days), LOGS.hours_kept))


def bytes_of_lines(conn: Connection) -> int:
    """Return about how many bytes all lines take."""
    return int(conn.scalar(select(func.sum(log_blocks.c.size_bytes))) or 0)


def _bytes_of_projects(conn: Connection) -> dict[int, int]:
    """Return how many bytes the lines of each project take; this reads all lines.

    A million lines take a second, once an hour while the limit is exceeded.
    """
    # By the index of projects SQLite would look up each line, which takes longer than a scan.
    project_id = hidden(log_lines.c.project_id)
    query = select(project_id, func.sum(log_lines.c.size_bytes)).group_by(project_id)
    return {row[0]: int(row[1]) for row in conn.execute(query)}


def _excess(sizes: Mapping[int, int], max_bytes: int) -> dict[int, int]:
    """Return how many bytes projects have beyond their share, the largest project first."""
    by_size = sorted(sizes, key=lambda project_id: sizes[project_id])
    left = max_bytes
    for number, project_id in enumerate(by_size):
        share = left // (len(by_size) - number)
        if sizes[project_id] > share:
            return {one: sizes[one] - share for one in reversed(by_size[number:])}
        left -= sizes[project_id]
    return {}
