"""Whom errors met: users by issue and by release, of a day and in all.

A **subject** is an issue or a release. It has a row for each user, which says on which days the
user met it first and last, and a count for each day: a user who met it today already adds nothing,
so that one statement tells for all of a batch who is new, and who is back on another day.

Users are kept as a hash of what identifies them. Days are of UTC, by this service's clock.

Exact up to MAX_USERS of a subject and day, and up to MAX_USERS of a subject in all; beyond it the
count says only that there are more. Bounded by the same number: of a subject with so many users
the rows of other days go, and nobody's last longer than the counts of days (:mod:`.expiry`).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
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
from app.store import added, replaced, upsert

MAX_USERS = 10_000
# A process looks how many users today has after it added so many; reading each count back would
# add to what an event costs.
LOOKS_AFTER = 1000
# Subjects that a process counts for itself.
MAX_KNOWN = 20_000
# Kinds of subjects.
ISSUE, RELEASE = 1, 2
# The day of a release's count in all; an issue has that in its own row, which lists are sorted by.
EVER = 0


class Subject(NamedTuple):
    """An issue or a release, by its number."""

    kind: int
    of_id: int


def day_number(moment: datetime) -> int:
    """Return the day of a moment, counted since 1970."""
    return int(moment.timestamp()) // 86400


def date_of(day: int) -> date:
    """Return the date of a day."""
    return datetime.fromtimestamp(day * 86400, UTC).date()


def hash_of(identity: str) -> str:
    """Return what stands for a user, so that counting needs no copy of the personal data."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


class UserCounter:
    """Counts users into the rows of one store."""

    def __init__(self) -> None:
        self._today = EVER
        # Subjects that have MAX_USERS today; whoever else comes is not looked at.
        self._full: set[tuple[int, int]] = set()
        # How many were added to each since it was looked at.
        self._added: Counter[tuple[int, int]] = Counter()

    def count(
        self, conn: Connection, met: Iterable[tuple[int, int, str]], now: datetime
    ) -> Counter[int]:
        """Count users, each once a day and subject; the caller commits.

        :param met: kind and number of a subject, and a user's hash.
        :return: how many users each issue met for the first time.
        """
        today = day_number(now)
        if today != self._today:
            self._today, self._full, self._added = today, set(), Counter()
        rows = [(*user, today, today) for user in sorted(set(met)) if user[:2] not in self._full]
        if not rows:
            return Counter()
        came: Counter[tuple[int, int]] = Counter()
        new: Counter[tuple[int, int]] = Counter()
        for kind, of_id, first_day in conn.execute(_meeting(conn.dialect.name), _given(rows)):
            came[kind, of_id] += 1
            if first_day == today:
                new[kind, of_id] += 1
        if came:
            _add(conn, came, new, today)
            self._look(conn, came)
        return Counter({of_id: more for (kind, of_id), more in new.items() if kind == ISSUE})

    def _look(self, conn: Connection, came: Counter[tuple[int, int]]) -> None:
        """Find out which subjects have MAX_USERS today, once in a while."""
        if len(self._added) > MAX_KNOWN:
            self._added.clear()
        self._added.update(came)
        for user in came:
            if self._added[user] >= LOOKS_AFTER:
                self._added[user] = 0
                if users_by_day(conn, Subject(*user), self._today, self._today)[0] >= MAX_USERS:
                    self._full.add(user)


def _add(
    conn: Connection,
    came: Counter[tuple[int, int]],
    new: Counter[tuple[int, int]],
    today: int,
) -> None:
    counts = {(*user, today): users for user, users in came.items()}
    counts |= {(*user, EVER): users for user, users in new.items() if user[0] == RELEASE}
    rows = [(*key, users) for key, users in sorted(counts.items())]
    conn.execute(_addition(conn.dialect.name), _given(rows))


def _given(rows: Sequence[tuple[int | str, ...]]) -> dict[str, str]:
    return {"rows": json.dumps(rows)}


def _given_rows(dialect: str, table: Table) -> Select[Any]:
    """Select the rows of a table that come as one parameter, a JSON array of arrays.

    Bound value by value, the two rows of one event took 33 us of CPU instead of 25.
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


# Built once: putting these statements together takes longer than executing them.
@functools.cache
def _meeting(dialect: str) -> Any:
    """Return who is new, or back on another day; whoever came today already has no row."""
    columns, rows = affected_users.c, _given_rows(dialect, affected_users)
    statement = upsert(dialect, affected_users, rows, where=_is_later, last_day=replaced)
    return statement.returning(columns.kind, columns.of_id, columns.first_day)


def _is_later(old: Any, new: Any) -> Any:
    return old.last_day < new.last_day


@functools.cache
def _addition(dialect: str) -> Any:
    rows = _given_rows(dialect, affected_days)
    return upsert(dialect, affected_days, rows, users=added)


def users_by_day(conn: Connection, subject: Subject, first: int, last: int) -> list[int]:
    """Return how many users each day had, from the first to the last, both included."""
    columns = affected_days.c
    query = select(columns.day, columns.users).where(*of_subject(affected_days, subject))
    query = query.where(columns.day.between(max(first, EVER + 1), last))
    found = {day: users for day, users in conn.execute(query)}
    return [found.get(day, 0) for day in range(first, last + 1)]


def users_of_releases(conn: Connection, release_ids: list[int]) -> dict[int, int]:
    """Return how many users each release met in all; those without any are left out."""
    columns = affected_days.c
    query = select(columns.of_id, columns.users).where(
        columns.kind == RELEASE, columns.of_id.in_(release_ids), columns.day == EVER
    )
    return {of_id: users for of_id, users in conn.execute(query)} if release_ids else {}


def of_subject(table: Table, subject: Subject) -> tuple[Any, ...]:
    """Return the conditions that rows are a subject's."""
    return table.c.kind == subject.kind, table.c.of_id == subject.of_id
