"""Quotas: how many envelopes of a project are taken in a minute, counted across processes.

A minute is the clock's; what two of them allow may come within two seconds. There is one row for
each project that has a quota, all of a batch written by one statement in the transaction that
stores what it counts, so that the count costs no commit of its own and is never more than what is
on the disk.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, TextClause, bindparam, or_, select, text, update

from app.projects.tables import quota_windows
from app.store import UtcDateTime

WINDOW = timedelta(minutes=1)
# Refusals that follow one another sooner belong together, for those who are told of them.
SAME_TIME = timedelta(hours=1)
# What is never limited. Client reports say what was lost and, by Sentry's rule, always pass.
# Sessions and check-ins come at a rate of their own, not with errors: a flood of page views must
# not use up what errors need, and a check-in that was refused looks like a job that did not run.
UNLIMITED_ITEMS = frozenset({"client_report", "session", "sessions", "check_in"})

# What the counters of refused envelopes begin with; a reason and the project's id follow.
ANY_REFUSED = "refused:"
# Stands for the project of those that name none that there is, so that strangers make no rows.
UNKNOWN_PROJECT = "unknown"
# Why an envelope is refused, with the status that is answered.
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
REFUSED = f"{ANY_REFUSED}quota:"


def refusal_counter(reason: str, project_id: int | None) -> str:
    """Return the name of the counter of envelopes that were refused for a reason.

    :param project_id: ``None`` where it is of no project that there is.
    """
    return f"{ANY_REFUSED}{reason}:{UNKNOWN_PROJECT if project_id is None else project_id}"


def refused_counter(project_id: int) -> str:
    """Return the name of the counter of envelopes that a project's quota kept out."""
    return f"{REFUSED}{project_id}"


def store_full_counter(project_id: int) -> str:
    """Return the name of the counter of a project's envelopes that a full store kept out."""
    return refusal_counter("store_full", project_id)


def is_limited(item_types: Iterable[str]) -> bool:
    """Tell whether an envelope with items of these types counts against a quota."""
    return not UNLIMITED_ITEMS.issuperset(item_types)


def window_end(now: datetime) -> datetime:
    """Return when the minute ends in which a moment lies."""
    return now.replace(second=0, microsecond=0) + WINDOW


def admit(
    conn: Connection, wanted: Mapping[int, int], limits: Mapping[int, int], now: datetime
) -> dict[int, int]:
    """Count envelopes against quotas and return how many of each project are within its own.

    :param wanted: project to the number of its envelopes.
    :param limits: project to how many a minute may have.
    :return: for each project from 0 to what is wanted.
    """
    if not wanted:
        return {}
    values: dict[str, Any] = {"minute": now.replace(second=0, microsecond=0)}
    for number, (project_id, count) in enumerate(sorted(wanted.items())):
        values |= {f"project_{number}": project_id, f"asked_{number}": count}
    return {
        project_id: max(0, min(wanted[project_id], limits[project_id] - asked + wanted[project_id]))
        for project_id, asked in conn.execute(_count(len(wanted)), values)
    }


def note_refusal(conn: Connection, project_id: int, refused_before: int, now: datetime) -> None:
    """Remember that a project's quota refused something.

    :param refused_before: the project's counter of refused envelopes as it was until now.
    """
    of = quota_windows.c
    is_old = or_(of.over_at.is_(None), of.over_at < now - SAME_TIME)
    mine = update(quota_windows).where(of.project_id == project_id)
    conn.execute(mine.where(is_old).values(over_since=now, refused_before=refused_before))
    conn.execute(mine.values(over_at=now))


def refusals_since(conn: Connection, moment: datetime) -> list[Row[Any]]:
    """Return ``project_id``, ``over_since``, ``over_at`` and ``refused_before`` of the projects
    whose quota refused something after a moment, by project.
    """
    of = quota_windows.c
    query = select(of.project_id, of.over_since, of.over_at, of.refused_before)
    return list(conn.execute(query.where(of.over_at > moment).order_by(of.project_id)))


@functools.lru_cache(256)
def _count(projects: int) -> TextClause:
    """Return the statement that counts envelopes of so many projects.

    As text, since for rows that are returned SQLAlchemy puts its own together anew each time, which
    was half of what the quota of one project costs.
    """
    rows = ", ".join(f"(:project_{n}, :minute, :asked_{n})" for n in range(projects))
    statement = text(
        f"INSERT INTO quota_windows (project_id, minute, asked) VALUES {rows}"  # noqa: S608 -- ours
        " ON CONFLICT (project_id) DO UPDATE SET minute = excluded.minute, asked = excluded.asked"
        " + CASE WHEN quota_windows.minute = excluded.minute THEN quota_windows.asked ELSE 0 END"
        " RETURNING project_id, asked"
    )
    return statement.bindparams(bindparam("minute", type_=UtcDateTime()))


class QuotaGate:
    """What this process knows of quotas that are used up, so that a flood of envelopes that will
    be refused costs neither scrubbing nor the store.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Project to the quota it has used up, and until when; bounded by the number of projects.
        self._shut: dict[int, tuple[int, datetime]] = {}

    def shut(self, project_id: int, limit: int, until: datetime) -> None:
        """Remember that a quota is used up."""
        with self._lock:
            self._shut[project_id] = (limit, until)

    def shut_until(self, project_id: int, limit: int, now: datetime) -> datetime | None:
        """Return until when a project's quota is used up, ``None`` where it is not known to be.

        :param limit: the quota as it is now: a person may have raised it meanwhile.
        """
        with self._lock:
            known, until = self._shut.get(project_id, (limit, now))
        # Not beyond the window: a clock that was set back must not shut the gate for longer.
        is_shut = known == limit and now < until <= now + WINDOW
        return until if is_shut else None
