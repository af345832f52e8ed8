"""Affected users: counts by issue and by release, for a day and in all.

A **subject** is an issue or a release. It has a row for each user with the first and the last day
on which it affected the user, and a count for each day. A user who was already affected today adds
nothing. So for a whole batch one statement returns which users are new and which are back on
another day.

Users are stored as a hash of their identity. Days are in UTC, by this service's clock.

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
        self, conn: Connection, met: Iterable[tuple[int, int, str]], now: datetime
    ) -> dict[int, int]:
        """Count affected users, each once for a day and subject. The caller commits.

        :param met: kind and id of a subject, and a user's hash.
        :return: for each issue, the number of users that it affected for the first time.
        """
        today = day_number(now)
        if today != self._today:
            self._today, self._full, self._added = today, set(), defaultdict(int)
        rows = [(*user, today, today) for user in sorted(set(met)) if user[:2] not in self._full]
        if not rows:
            return {}
        came: dict[tuple[int, int], int] = defaultdict(int)
        new: dict[tuple[int, int], int] = defaultdict(int)
        for kind, of_id, first_day in _MEETING.fetch(conn, _given(rows)):
            came[kind, of_id] += 1
            if first_day == today:
                new[kind, of_id] += 1
        if came:
            _add(conn, came, new, today)
            self._look(conn, came)
        return {of_id: more for (kind, of_id), more in new.items() if kind == ISSUE}

    def _look(self, conn: Connection, came: Mapping[tuple[int, int], int]) -> None:
        """Check at intervals which subjects have reached MAX_USERS today."""
        if len(self._added) > MAX_KNOWN:
            self._added.clear()
        for user, users in came.items():
            self._added[user] += users
            if self._added[user] >= LOOKS_AFTER:
                self._added[user] = 0
                if users_by_day(conn, Subject(*user), self._today, self._today)[0] >= MAX_USERS:
                    self._full.add(user)


def _add(
    conn: Connection,
    came: Mapping[tuple[int, int], int],
    new: Mapping[tuple[int, int], int],
    today: int,
) -> None:
    counts = {(*user, today): users for user, users in came.items()}
    counts |= {(*user, EVER): users for user, users in new.items() if user[0] == RELEASE}
    rows = [(*key, users) for key, users in sorted(counts.items())]
    _ADDITION.run(conn, [_given(rows)])


def _given(rows: Sequence[tuple[int | str, ...]]) -> dict[str, str]:
    return {"rows": json.dumps(rows)}


def _given_rows(dialect: str, table: Table) -> Select[Any]:
    """Return a query for rows that are passed as one parameter, a JSON array of arrays.

    With one parameter for each value, the two rows of an event took 33 us of CPU instead of 25.
    """
    rows = bindparam("rows", type_=Text)
    if dialect == "sqlite":
        row = func.json_each(rows).table_valued("value").c.value
        values: list[Any] = [
            func.json_extract(row, literal_column(f"'$[{n}]'")) for n in _positions(table)
        ]
    else:
        row = func.json_array_elements(cast(rows, JSON)).table_valued("value").c.value
        texts = [row.op("->>")(literal_column(str(n))) for n in _positions(table)]
        values = [cast(text, column.type) for text, column in zip(texts, table.c, strict=True)]
    return select(*values).where(true())


def _positions(table: Table) -> range:
    return range(len(table.c))


def _meeting(dialect: str) -> Any:
    """Build the statement that returns users who are new, or back on another day. It returns no row
    for a user who was already affected today.
    """
    columns, rows = affected_users.c, _given_rows(dialect, affected_users)
    statement = upsert(dialect, affected_users, rows, where=_is_later, last_day=replaced)
    return statement.returning(columns.kind, columns.of_id, columns.first_day)


def _is_later(old: Any, new: Any) -> Any:
    return old.last_day < new.last_day


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
