"""Quotas: how many envelopes a project may send in a minute, counted across all processes.

The windows are the minutes of the clock. Around the end of a minute, a project may therefore send
the quota of two minutes within two seconds. Each project with a quota has one row. One statement
updates the rows of all projects in a batch. It runs in the transaction that stores the envelopes of
the batch. So the count needs no extra commit, and it is never larger than what is on the disk.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, text, update

from app.projects.tables import projects, quota_windows
from app.store import DriverStatement, UtcDateTime

WINDOW = timedelta(minutes=1)
# Refusals with less time between them are reported together, in one notification.
SAME_TIME = timedelta(hours=1)
# Items that are never limited. Client reports say what the client lost; by Sentry's rule they
# always pass. The rate of sessions and check-ins does not depend on errors: a flood of page views
# must not use up the quota for errors, and a refused check-in looks like a job that did not run.
UNLIMITED_ITEMS = frozenset({"client_report", "session", "sessions", "check_in"})

# The prefix of the counters of refused envelopes; a reason and the project's id follow.
ANY_REFUSED = "refused:"
# The project in the counter of an envelope whose project does not exist. Without it, every unknown
# client could create counter rows.
UNKNOWN_PROJECT = "unknown"
# The reasons to refuse an envelope, with the HTTP status of the response.
REASONS = {
    "malformed": 400,
    "no_key": 401,
    "unknown_key": 403,
    "key_of_another_project": 403,
    "credentials_disagree": 403,
    "too_large": 413,
    "quota": 429,
    "store_full": 429,
}
# The same reasons as sentences, without a full stop.
REFUSAL_WORDS = {
    "malformed": "What was sent could not be read, or a field of it was wrong",
    "no_key": "No key was given",
    "unknown_key": "The key is unknown or revoked",
    "key_of_another_project": "The key belongs to another project",
    "credentials_disagree": "The keys that were given disagree",
    "too_large": "The envelope was too large",
    "quota": "The project was over its quota",
    "store_full": "The store was full",
}
REFUSED = f"{ANY_REFUSED}quota:"


def refusal_counter(reason: str, project_id: int | None) -> str:
    """Return the name of the counter of envelopes that were refused for a reason.

    :param project_id: ``None`` if the project does not exist.
    """
    return f"{ANY_REFUSED}{reason}:{UNKNOWN_PROJECT if project_id is None else project_id}"


def refused_counter(project_id: int) -> str:
    """Return the name of the counter of a project's envelopes that its quota refused."""
    return f"{REFUSED}{project_id}"


def is_limited(item_types: Iterable[str]) -> bool:
    """Return whether an envelope with items of these types counts against a quota."""
    return not UNLIMITED_ITEMS.issuperset(item_types)


def window_end(now: datetime) -> datetime:
    """Return the end of the minute that contains ``now``."""
    return now.replace(second=0, microsecond=0) + WINDOW


def admit(
    conn: Connection, wanted: Mapping[int, int], limits: Mapping[int, int], now: datetime
) -> dict[int, int]:
    """Count envelopes against quotas and return how many envelopes of each project are admitted.

    :param wanted: project id to the number of its envelopes.
    :param limits: project id to its quota in envelopes a minute.
    :return: project id to a number from 0 to its number in ``wanted``.
    """
    if not wanted:
        return {}
    values: dict[str, Any] = {"minute": now.replace(second=0, microsecond=0)}
    for number, (project_id, count) in enumerate(sorted(wanted.items())):
        values |= {f"project_{number}": project_id, f"asked_{number}": count}
    return {
        project_id: max(0, min(wanted[project_id], limits[project_id] - asked + wanted[project_id]))
        for project_id, asked in _count(len(wanted)).fetch(conn, values)
    }


def note_refusal(conn: Connection, project_id: int, refused_before: int, now: datetime) -> None:
    """Record that envelopes of a project were refused because of its quota.

    :param refused_before: the project's counter of refused envelopes before this refusal.
    """
    of = quota_windows.c
    is_old = or_(of.over_at.is_(None), of.over_at < now - SAME_TIME)
    mine = update(quota_windows).where(of.project_id == project_id)
    conn.execute(mine.where(is_old).values(over_since=now, refused_before=refused_before))
    conn.execute(mine.values(over_at=now))


def refusals_since(conn: Connection, moment: datetime) -> list[Row[Any]]:
    """Return the projects with envelopes refused because of the quota after ``moment``.

    :return: rows of ``project_id``, ``name``, ``over_since``, ``over_at`` and ``refused_before``,
        ordered by project.
    """
    of = quota_windows.c
    query = select(of.project_id, projects.c.name, of.over_since, of.over_at, of.refused_before)
    query = query.join_from(quota_windows, projects, projects.c.id == of.project_id)
    return list(conn.execute(query.where(of.over_at > moment).order_by(of.project_id)))


@functools.lru_cache(256)
def _count(projects: int) -> DriverStatement:
    """Return the statement that counts the envelopes of this number of projects."""
    rows = ", ".join(f"(:project_{n}, :minute, :asked_{n})" for n in range(projects))
    statement = text(
        f"INSERT INTO quota_windows (project_id, minute, asked) VALUES {rows}"  # noqa: S608 -- ours
        " ON CONFLICT (project_id) DO UPDATE SET minute = excluded.minute, asked = excluded.asked"
        " + CASE WHEN quota_windows.minute = excluded.minute THEN quota_windows.asked ELSE 0 END"
        " RETURNING project_id, asked"
    )
    typed = statement.bindparams(bindparam("minute", type_=UtcDateTime()))
    return DriverStatement(lambda dialect: typed)


class QuotaGate:
    """Remembers, in this process, which quotas are used up.

    A flood of envelopes over the quota is refused before it is scrubbed, and without the store.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Project id to the used-up quota, and the time until it applies. The size is bounded by the
        # number of projects.
        self._shut: dict[int, tuple[int, datetime]] = {}

    def shut(self, project_id: int, limit: int, until: datetime) -> None:
        """Record that the quota of a project is used up until a time."""
        with self._lock:
            self._shut[project_id] = (limit, until)

    def shut_until(self, project_id: int, limit: int, now: datetime) -> datetime | None:
        """Return until when a project's quota is used up, or ``None`` if it is not known to be.

        :param limit: the current quota, which a person may have changed in the meantime.
        """
        with self._lock:
            known, until = self._shut.get(project_id, (limit, now))
        # Never longer than one window: the gate must not stay closed because a clock was set back.
        is_shut = known == limit and now < until <= now + WINDOW
        return until if is_shut else None
