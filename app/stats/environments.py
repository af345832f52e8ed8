"""Events and users of projects and their environments, by the hour and the day.

stored events ── a background task, seconds later ── hours of environments, affected users

The transaction of an event pays nothing for it. What is not counted yet is added when the counts
are read. Events are counted as they came in: merging, deleting and pruning do not change that. Test
errors are not counted.

A project has MAX_ENVIRONMENTS, whatever clients send; events of all others are counted together.
Users are counted as those of issues (:mod:`.users`), up to MAX_USERS.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Connection, Select, column, func, select, table, update

from app.events.tables import events
from app.projects import projects
from app.stats import user_expiry
from app.stats.additive import OTHER
from app.stats.hour_expiry import roll_up_hours
from app.stats.tables import (
    affected_users,
    environment_days,
    environment_hours,
    environments_counted,
    project_environments,
)
from app.stats.users import MAX_USERS, Subject, UserCounter, day_number
from app.stats.windows import HOURS_A_DAY, hour_of
from app.store import Store, added, replaced, upsert
from app.store.statements import insert

MAX_ENVIRONMENTS = 50
# Events that one transaction counts. It holds the store's only writer for about 10 ms.
BATCH_SIZE = 500
# The most events that a reader adds, because they are not counted yet.
MAX_UNCOUNTED = 5000
# Kinds of subjects, beside those of `users.py`: an environment, a project, and all projects but the
# demo projects.
ENVIRONMENT, PROJECT, EVERYTHING = 3, 4, 5
KINDS = (ENVIRONMENT, PROJECT, EVERYTHING)
ALL_PROJECTS = Subject(EVERYTHING, 0)

_EVENTS, _PLACES = events.c, project_environments.c
_ISSUES = table("issues", column("id"), column("is_test", Boolean))


class Stored(NamedTuple):
    """What is counted of an event."""

    id: int
    project_id: int
    environment: str
    hour: int
    user_hash: str
    is_test: bool
    is_demo: bool


def count_stored(store: Store, users: UserCounter, now: datetime, at_most: int = 20_000) -> int:
    """Count the events that were stored since the last run, and return how many.

    :param users: kept by the task, as it knows which subjects have MAX_USERS today.
    :param at_most: the next run goes on after so many.
    """
    count = 0
    while count < at_most:
        with store.read() as conn:  # Usually there is nothing to do, which needs no writer.
            if not uncounted(conn, 1):
                break
        with store.write(durable=False) as conn:
            rows = uncounted(conn, BATCH_SIZE)
            _count(conn, rows, users, now)
        count += len(rows)
    return count


def uncounted(conn: Connection, at_most: int) -> list[Stored]:
    """Return the oldest events that are not counted yet."""
    return [Stored(*row) for row in conn.execute(not_counted(conn.dialect.name, at_most))]


def not_counted(dialect: str, at_most: int) -> Select[Any]:
    """Return the query for the oldest events that are not counted yet.

    :return: with the columns of :class:`Stored`.
    """
    hour = hour_of(dialect, _EVENTS.timestamp).label("hour")
    environment = func.coalesce(_EVENTS.environment, "").label("environment")
    who = func.coalesce(_EVENTS.user_hash, "").label("user_hash")
    # A test error does not count. The table of issues belongs to a package above.
    is_test = select(_ISSUES.c.is_test).where(_ISSUES.c.id == _EVENTS.issue_id).scalar_subquery()
    is_demo = select(projects.c.is_demo).where(projects.c.id == _EVENTS.project_id)
    flags = is_test.label("is_test"), is_demo.scalar_subquery().label("is_demo")
    query = select(_EVENTS.id, _EVENTS.project_id, environment, hour, who, *flags)
    last = select(environments_counted.c.event_id).scalar_subquery()
    return query.where(_EVENTS.id > func.coalesce(last, 0)).order_by(_EVENTS.id).limit(at_most)


def step_back(conn: Connection) -> None:
    """Set the last counted event to the last one there is, after events were removed.

    SQLite uses the id of a removed event again, if it was the last one.
    """
    counted = environments_counted
    newest = func.coalesce(select(func.max(_EVENTS.id)).scalar_subquery(), 0)
    conn.execute(update(counted).where(counted.c.event_id > newest).values(event_id=newest))


def _count(conn: Connection, rows: Sequence[Stored], users: UserCounter, now: datetime) -> None:
    if not rows:
        return
    mark = {"id": 1, "event_id": rows[-1].id}
    conn.execute(upsert(conn, environments_counted, mark, event_id=replaced))
    rows = [row for row in rows if not row.is_test]
    numbers = _numbers(conn, {(row.project_id, row.environment) for row in rows})
    hours: Counter[tuple[int, int]] = Counter()
    # A user counts on each day, so the days are counted one after the other.
    met: dict[int, list[tuple[int, int, str, int]]] = defaultdict(list)
    for row in rows:
        number = numbers[row.project_id, row.environment]
        hours[number, row.hour] += 1
        if row.user_hash:
            subjects = [Subject(ENVIRONMENT, number), Subject(PROJECT, row.project_id)]
            subjects += [] if row.is_demo else [ALL_PROJECTS]
            of_day = met[row.hour // HOURS_A_DAY]
            of_day += [(*subject, row.user_hash, row.hour) for subject in subjects]
    counts = [
        {"environment_id": number, "hour": hour, "events": events_}
        for (number, hour), events_ in sorted(hours.items())
    ]
    if counts:
        conn.execute(upsert(conn, environment_hours, events=added), counts)
    for day in sorted(met):
        users.count(conn, met[day], now)


def _numbers(conn: Connection, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the ids of environments. A new one is created if its project has room."""
    found = {}
    for project_id in sorted({project_id for project_id, _ in wanted}):
        there = environments_of(conn, project_id)
        for name in sorted(name for project, name in wanted if project == project_id):
            if name not in there:
                place = name if len(there) < MAX_ENVIRONMENTS else OTHER
                if place not in there:
                    there[place] = _make(conn, project_id, place)
                found[project_id, name] = there[place]
            else:
                found[project_id, name] = there[name]
    return found


def _make(conn: Connection, project_id: int, name: str) -> int:
    row = {"project_id": project_id, "name": name}
    return int(conn.scalar(insert(conn, project_environments).values(row).returning(_PLACES.id)))


def environments_of(conn: Connection, project_id: int) -> dict[str, int]:
    """Return the ids of a project's environments by name; empty for events without one."""
    query = select(_PLACES.name, _PLACES.id).where(_PLACES.project_id == project_id)
    return {name: number for name, number in conn.execute(query)}


def expire(store: Store, now: datetime) -> None:
    """Sum up old hours to days, remove old days, and bound the users."""
    roll_up_hours(store, environment_hours, environment_days, now)
    columns = affected_users.c
    many = select(columns.kind, columns.of_id).where(columns.kind.in_(KINDS))
    many = many.group_by(columns.kind, columns.of_id).having(func.count() >= MAX_USERS)
    with store.read() as conn:
        full = [Subject(*row) for row in conn.execute(many)]
    user_expiry.forget_all(store, full, day_number(now))
