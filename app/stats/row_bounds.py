"""Limits on the rows of counts that a project keeps over all days.

Beyond a limit, the rows of the oldest days are removed. The series stay, because counting processes
have their ids in a cache. There are at most a few thousand series a day, and they are removed when
their day expires.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, Table, and_, func, select

from app.stats import declared
from app.stats.sessions import SESSIONS, session_series
from app.stats.tables import known_sessions
from app.store import Store, delete_in_batches

# Rows of one table and project, about 60 to 150 bytes each. Full days of 2,000 series, by the hour,
# reach this limit in two months. A normal project has some hundreds of series.
MAX_ROWS = 3_000_000
# Sessions that may still change: five days of 400,000 each.
MAX_KNOWN_SESSIONS = 2_000_000


def bounded() -> Iterator[tuple[Table, list[Table]]]:
    """Yield each table of series, with the tables of its counts."""
    for series in (*declared.SERIES, SESSIONS):
        yield series.table, [counts.table for counts in series.counts]


def bound_rows(store: Store) -> None:
    """Remove the rows of each project's oldest series that are beyond the limit."""
    for series, tables in bounded():
        for table in tables:
            for series_id in _beyond(store, series, table):
                # From all tables: the first one must have each minute that the others have.
                for one in tables:
                    delete_in_batches(store, one, one.c.series_id == series_id)
    _bound_known(store)


def _beyond(store: Store, series: Table, table: Table) -> list[int]:
    with store.read() as conn:
        total = conn.scalar(select(func.count()).select_from(table)) or 0
    if total <= MAX_ROWS:
        return []
    rows = select(table.c.series_id, func.count().label("count")).group_by(table.c.series_id)
    return series_beyond(store, series, rows, MAX_ROWS)


def series_beyond(store: Store, series: Table, counts: Select[Any], limit: int) -> list[int]:
    """Return the series beyond a limit. Their counts are added up from the newest series on.

    :param counts: selects ``series_id`` and ``count``, the number of a series' rows or users.
    :param limit: for each project.
    """
    counted = counts.subquery()
    newest = series.c.day.desc(), series.c.id.desc()
    kept = (
        func.sum(counted.c.count)
        .over(partition_by=series.c.project_id, order_by=newest)
        .label("kept")
    )
    summed = select(series.c.id, kept).join(counted, counted.c.series_id == series.c.id)
    found = summed.subquery().c
    with store.read() as conn:
        return list(conn.scalars(select(found.id).where(found.kept > limit)))


def _bound_known(store: Store) -> None:
    """Remove the oldest known sessions beyond the limit. A later update of one counts as new."""
    for project_id, minute in _last_minutes(store):
        of_project = select(session_series.c.id).where(session_series.c.project_id == project_id)
        columns = known_sessions.c
        old = and_(columns.minute <= minute, columns.series_id.in_(of_project))
        delete_in_batches(store, known_sessions, old)


def _last_minutes(store: Store) -> Iterator[tuple[int, int]]:
    """Yield each project with too many sessions, and the newest minute that must be removed."""
    project, minute = session_series.c.project_id, known_sessions.c.minute
    counts = select(project, minute, func.count().label("count"))
    counts = counts.join(session_series, session_series.c.id == known_sessions.c.series_id)
    by_minute = counts.group_by(project, minute).subquery()
    of = by_minute.c
    kept = func.sum(of.count).over(partition_by=of.project_id, order_by=of.minute.desc())
    summed = select(of.project_id, of.minute, kept.label("kept")).subquery()
    beyond = select(summed.c.project_id, func.max(summed.c.minute))
    beyond = beyond.where(summed.c.kept > MAX_KNOWN_SESSIONS).group_by(summed.c.project_id)
    with store.read() as conn:
        total = conn.scalar(select(func.count()).select_from(known_sessions)) or 0
        found = conn.execute(beyond).all() if total > MAX_KNOWN_SESSIONS else []
    yield from ((row[0], row[1]) for row in found)
