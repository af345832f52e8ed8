"""Release health: the sessions and users without a crash, by release and over time.

Moments are aware; ``since`` is inclusive, ``until`` is exclusive. Sessions are counted in the
minute in which their first update was received, and by the hour after five days. Users are counted
by the day in UTC: a window includes all users with a session on one of its days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from app.insights import reading
from app.stats.sessions import COUNTS, SESSIONS, session_counts, session_series
from app.stats.tables import session_users


class Counts(NamedTuple):
    """Sessions and their outcomes. A session is in at most one column, a healthy session in none.

    :param errored: sessions with errors that neither crashed nor ended abnormally.
    """

    sessions: int = 0
    crashed: int = 0
    abnormal: int = 0
    errored: int = 0

    @property
    def crash_free_sessions(self) -> float | None:
        """The share of sessions that did not crash, 0 to 1; ``None`` if there are no sessions."""
        return (self.sessions - self.crashed) / self.sessions if self.sessions else None


class Users(NamedTuple):
    """Distinct users, and the number of them with a crashed session."""

    users: int = 0
    crashed_users: int = 0

    @property
    def crash_free_users(self) -> float | None:
        """The share of users without a crash, 0 to 1; ``None`` if there are no users."""
        return (self.users - self.crashed_users) / self.users if self.users else None


class Health(NamedTuple):
    """Sessions as in :class:`Counts`, with users as in :class:`Users`."""

    sessions: int = 0
    crashed: int = 0
    abnormal: int = 0
    errored: int = 0
    users: int = 0
    crashed_users: int = 0

    @property
    def crash_free_sessions(self) -> float | None:
        """The share of sessions that did not crash, 0 to 1; ``None`` without sessions."""
        return Counts(*self[:4]).crash_free_sessions

    @property
    def crash_free_users(self) -> float | None:
        """The share of users without a crash, 0 to 1; ``None`` if no user was named."""
        return Users(*self[4:]).crash_free_users


@dataclass(frozen=True)
class Selection(reading.Selection):
    """The sessions to read; ``None`` means any."""

    declared: ClassVar = SESSIONS
    release: str | None = None
    environment: str | None = None


def health_by_release(conn: Connection, selection: Selection) -> dict[str, Health]:
    """Return the health of each release that had sessions."""
    found = sessions_by_release(conn, selection)
    rows = conn.execute(_users(selection, session_series.c.release))
    users = {release: row for release, *row in rows}
    return {release: Health(*one, *users.get(release, Users())) for release, one in found.items()}


def sessions_by_release(conn: Connection, selection: Selection) -> dict[str, Counts]:
    """Return the sessions of each release that had any. This is faster than reading users too."""
    of = session_series.c.release
    counted = conn.execute(_counts(selection, of).group_by(of))
    return {release: Counts(*map(int, row)) for release, *row in counted}


def health_of(conn: Connection, selection: Selection) -> Health:
    """Return the health of all selected sessions together."""
    counts = counts_of(conn, selection)
    if not counts.sessions:
        return Health()
    return Health(*counts, *conn.execute(_users(selection)).one())


def counts_of(conn: Connection, selection: Selection) -> Counts:
    """Return the counts of sessions only. This is faster than reading users too."""
    return Counts(*(int(count or 0) for count in conn.execute(_counts(selection)).one()))


def over_time(conn: Connection, selection: Selection, step: timedelta) -> list[Counts]:
    """Return the sessions of each step from ``since`` to ``until``, oldest first.

    :param step: whole minutes, or whole hours for times more than five days ago.
    """
    found = [Counts()] * selection.steps(step)
    number = selection.step_of(COUNTS, step)
    for position, *row in conn.execute(_counts(selection, number).group_by(number)):
        found[position] = Counts(*map(int, row))
    return found


def users_by_day(conn: Connection, selection: Selection) -> dict[date, Users]:
    """Return the users of each day that has any."""
    rows = conn.execute(_users(selection, session_series.c.day))
    return {day: Users(*row) for day, *row in rows}


def _counts(selection: Selection, *by: Any) -> Select[Any]:
    sums = (func.sum(session_counts.c[name]) for name in Counts._fields)
    query = select(*by, *sums).join_from(session_series, session_counts)
    return query.where(*selection.of_series(), *selection.of_times(COUNTS))


def _users(selection: Selection, *by: Any) -> Select[Any]:
    of = session_users.c
    # Group by user first: on SQLite, counting distinct users takes up to a quarter longer.
    each = select(*by, func.max(of.crashed).label("met")).join_from(session_series, session_users)
    each = each.where(*selection.of_series(), of.sessions > 0).group_by(*by, of.user_hash)
    user = each.subquery().c
    names = [user[row.name] for row in by]
    query = select(*names, func.count(), func.count(case((user.met > 0, 1))))
    return query.group_by(*names)
