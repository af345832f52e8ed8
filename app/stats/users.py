"""Affected users: counts by issue and by release, for a day and in all.

A **subject** is an issue or a release. It has a row for each user with the first day and the last
hour in which it affected the user, and a count for each day. A user who was already affected in
this hour adds nothing. So for a whole batch one statement returns which users are new and which are
back on another day.

The last hour tells how many users there are in any period that ends now: those whose last hour is
in it. Hours and days are in UTC, by the time at which an event happened. An event that comes after
a later one of the same user is not counted for its day.

Users are stored as a hash of their identity.

Counts are exact up to MAX_USERS for a subject and day, and up to MAX_USERS for a subject in all.
Beyond that, the count only means that there are more. The rows are limited by the same number: if a
subject has so many users, the rows of other days are removed. No row of a user is kept longer than
the counts of days (:mod:`.expiry`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    true,
)

from app.stats.tables import affected_days, affected_users
from app.stats.windows import HOURS_A_DAY
from app.store import DriverStatement, added, replaced, upsert

MAX_USERS = 10_000
# A process reads today's count after it added this many users. Reading it after each user would
# increase the cost of an event.
LOOKS_AFTER = 1000
# The most subjects for which a process remembers how many users it added.
MAX_KNOWN = 20_000
# Kinds of subjects.
ISSUE, RELEASE = 1, 2
# The day under which a release's count in all is stored. An issue has this count in its own row,
# because lists are sorted by it.
EVER = 0


class Subject(NamedTuple):
    """An issue or a release, by its id."""

    kind: int
    of_id: int


def day_number(moment: datetime) -> int:
    """Return the day of a moment, counted since 1970."""
    return int(moment.timestamp()) // 86400


def date_of(day: int) -> date:
    """Return the date of a day that is counted since 1970."""
    return datetime.fromtimestamp(day * 86400, UTC).date()


def hash_of(identity: str) -> str:
    """Return the hash of a user, so that counting stores no personal data."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


class UserCounter:
    """Counts users into the rows of one store."""

    def __init__(self) -> None:
        self._today = EVER
        # Subjects with MAX_USERS today. Further users of them are ignored.
        self._full: set[tuple[int, int]] = set()
        # How many users were added to each subject since its last check.
        self._added: dict[tuple[int, int], int] = defaultdict(int)

    def count(
        self, conn: Connection, met: Iterable[tuple[int, int, str, int]], now: datetime
    ) -> dict[int, int]:
        """Count affected users, each once for a day and subject. The caller commits.

        :param met: kind and id of a subject, a user's hash, and the hour of the event, counted
            since 1970.
        :return: for each issue, the number of users that it affected for the first time.
        """
        today = day_number(now)
        if today != self._today:
            self._today, self._full, self._added = today, set(), defaultdict(int)
        rows = [row for row in _rows(met) if row[:2] not in self._full]
        if not rows:
            return {}
        came: dict[tuple[int, int, int], int] = defaultdict(int)
        new: dict[tuple[int, int], int] = defaultdict(int)
        for kind, of_id, hour, before in _MEETING.fetch(conn, _given(rows)):
            day = hour // HOURS_A_DAY
            if before is None:
                new[kind, of_id] += 1
            elif before // HOURS_A_DAY == day:
                continue
            came[kind, of_id, day] += 1
        if came:
            _add(conn, came, new)
            self._look(conn, came)
        return {of_id: more for (kind, of_id), more in new.items() if kind == ISSUE}

    def _look(self, conn: Connection, came: Mapping[tuple[int, int, int], int]) -> None:
        """Check at intervals which subjects have reached MAX_USERS today."""
        if len(self._added) > MAX_KNOWN:
            self._added.clear()
        for (kind, of_id, day), users in came.items():
            if day != self._today:
                continue
            user = kind, of_id
            self._added[user] += users
            if self._added[user] >= LOOKS_AFTER:
                self._added[user] = 0
                if users_by_day(conn, Subject(*user), self._today, self._today)[0] >= MAX_USERS:
                    self._full.add(user)


def _rows(met: Iterable[tuple[int, int, str, int]]) -> list[tuple[int, int, str, int, int]]:
    """Return a row for each user and subject, with the first day and the last hour of the user."""
    found: dict[tuple[int, int, str], tuple[int, int]] = {}
    for kind, of_id, who, hour in met:
        first, last = found.get((kind, of_id, who), (hour, hour))
        found[kind, of_id, who] = min(first, hour), max(last, hour)
    return [(*key, first // HOURS_A_DAY, last) for key, (first, last) in sorted(found.items())]


def _add(
    conn: Connection,
    came: Mapping[tuple[int, int, int], int],
    new: Mapping[tuple[int, int], int],
) -> None:
    counts = {**came}
    counts |= {(*user, EVER): users for user, users in new.items() if user[0] == RELEASE}
    rows = [(*key, users) for key, users in sorted(counts.items())]
    _ADDITION.run(conn, [_given(rows)])


def _given(rows: Sequence[tuple[int | str, ...]]) -> dict[str, str]:
    return {"rows": json.dumps(rows)}


def _given_rows(dialect: str, table: Table) -> Select[Any]:
    """Return a query for rows that are passed as one parameter, a JSON array of arrays.

    With one parameter for each value, the two rows of an event took 33 us of CPU instead of 25.
    Columns that may be NULL are not passed.
    """
    rows = bindparam("rows", type_=Text)
    if dialect == "sqlite":
        row = func.json_each(rows).table_valued("value").c.value
        values: list[Any] = [
            func.json_extract(row, literal_column(f"'$[{n}]'")) for n, _ in _passed(table)
        ]
    else:
        row = func.json_array_elements(cast(rows, JSON)).table_valued("value").c.value
        values = [
            cast(row.op("->>")(literal_column(str(n))), column.type) for n, column in _passed(table)
        ]
    absent: list[Any] = [literal_column("NULL") for column in table.c if column.nullable]
    return select(*values, *absent).where(true())


def _passed(table: Table) -> list[tuple[int, Any]]:
    """Return the columns that are passed, with their places; the others come after them."""
    return [(n, column) for n, column in enumerate(table.c) if not column.nullable]


def _meeting(dialect: str) -> Any:
    """Build the statement that returns users who are new, or back in another hour. It returns no
    row for a user who was already affected in this hour, or later.
    """
    columns, rows = affected_users.c, _given_rows(dialect, affected_users)
    rules = {"last_hour": replaced, "hour_before": _last_hour}
    statement = upsert(dialect, affected_users, rows, where=_is_later, **rules)
    returned = columns.kind, columns.of_id, columns.last_hour, columns.hour_before
    return statement.returning(*returned)


def _is_later(old: Any, new: Any) -> Any:
    return old.last_hour < new.last_hour


def _last_hour(old: Any, new: Any) -> Any:
    """A rule for a column: keep the last hour as it was."""
    return old.table.c.last_hour


def _addition(dialect: str) -> Any:
    rows = _given_rows(dialect, affected_days)
    return upsert(dialect, affected_days, rows, users=added)


_MEETING, _ADDITION = DriverStatement(_meeting), DriverStatement(_addition)


def users_by_day(conn: Connection, subject: Subject, first: int, last: int) -> list[int]:
    """Return the number of affected users for each day from the first to the last, inclusive."""
    columns = affected_days.c
    query = select(columns.day, columns.users).where(*of_subject(affected_days, subject))
    query = query.where(columns.day.between(max(first, EVER + 1), last))
    found = {day: users for day, users in conn.execute(query)}
    return [found.get(day, 0) for day in range(first, last + 1)]


def users_of_releases(conn: Connection, release_ids: list[int]) -> dict[int, int]:
    """Return the number of affected users of each release. Releases without users are left out."""
    columns = affected_days.c
    query = select(columns.of_id, columns.users).where(
        columns.kind == RELEASE, columns.of_id.in_(release_ids), columns.day == EVER
    )
    return {of_id: users for of_id, users in conn.execute(query)} if release_ids else {}


def of_subject(table: Table, subject: Subject) -> tuple[Any, ...]:
    """Return the conditions that select the rows of a subject."""
    return table.c.kind == subject.kind, table.c.of_id == subject.of_id
