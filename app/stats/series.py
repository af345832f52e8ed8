"""Series: what is counted by name, as rows that have a number for their counts to point at.

A series belongs to a project and a day (UTC, of this service's clock). Bounded whatever clients
send: a day takes so many of a project; what is beyond them is counted in another one, which stands
for all the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, Table, bindparam, func, select

from app.store import insert_for

# What series beyond the bound are called.
OTHER = "<other>"
# How long requests took and metrics: by the minute for what is looked into, then by the hour.
MINUTES_KEPT = timedelta(days=2)
# As long may a client still say how a session went; Sentry takes updates for as many days.
SESSIONS_OPEN = timedelta(days=5)
# Series whose numbers a process remembers; asking for them is most of what a count costs.
MAX_KNOWN = 20_000
# Names asked for at a time: a statement has at most 32,766 parameters on SQLite.
_ASKED = 10_000


# What a series is alone with: columns of its table, in the order of its unique index, of which the
# first ones are project_id, day and a name.
K = TypeVar("K", bound=NamedTuple)


class SeriesCounter(Generic[K]):
    """The numbers of one table's series; what it remembers is one process's.

    :param key: makes a key of a row.
    :param at_most: series of a project and a day, but for those that stand for the rest.
    :param other: returns the series that one beyond them is counted in.
    """

    def __init__(
        self,
        table: Table,
        key: type[K],
        at_most: Callable[[], int],
        other: Callable[[K], K],
    ) -> None:
        self._table = table
        self._key = key
        self._at_most = at_most
        self._other = other
        self._known: dict[K, int] = {}
        # Built once: putting a statement together takes longer than executing it.
        names = [table.c[name] for name in key._fields]
        # By project, day and name: for a list of tuples SQLite reads the whole table.
        project_id, day, name, *_ = names
        asked = project_id == bindparam("project_id"), day == bindparam("day")
        named = name.in_(bindparam("names", expanding=True))
        self._select = select(*names, table.c.id).where(*asked, named)
        self._insertion = table.insert().returning(*names, table.c.id)

    def ids(self, conn: Connection, wanted: set[K]) -> dict[K, int]:
        """Return the number of each, made where it is new; the caller commits."""
        ids = {one: self._known[one] for one in wanted if one in self._known}
        if missing := wanted - ids.keys():
            found = self._find(conn, missing)
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            self._known.update(found)
            # Those that are made here are not remembered: this transaction may be rolled back.
            ids |= found | self._make(conn, missing - found.keys())
        return ids

    def _find(self, conn: Connection, wanted: Collection[K]) -> dict[K, int]:
        by_day: dict[tuple[int, date], set[str]] = {}
        for project_id, day, name, *_ in wanted:
            by_day.setdefault((project_id, day), set()).add(name)
        found: dict[K, int] = {}
        for (project_id, day), names in sorted(by_day.items()):
            for some in _in_batches(sorted(names)):
                asked = {"project_id": project_id, "day": day, "names": some}
                found |= self._numbers(conn.execute(self._select, asked))
        return {one: found[one] for one in wanted if one in found}

    def _make(self, conn: Connection, missing: set[K]) -> dict[K, int]:
        """Make series as far as their days have room; those beyond get the number of another."""
        made: dict[K, int] = {}
        for project_id, day in sorted({one[:2] for one in missing}):
            new = sorted(one for one in missing if one[:2] == (project_id, day))
            room = max(0, self._at_most() - self._how_many(conn, project_id, day))
            made |= self._insert(conn, new[:room])
            made |= self._of_others(conn, new[room:])
        return made

    def _of_others(self, conn: Connection, beyond: Sequence[K]) -> dict[K, int]:
        others = {one: self._other(one) for one in beyond}
        wanted = set(others.values())
        found = self._find(conn, wanted)
        found |= self._insert(conn, sorted(wanted - found.keys()))
        return {one: found[other] for one, other in others.items()}

    def _how_many(self, conn: Connection, project_id: int, day: date) -> int:
        columns = self._table.c
        of_day = columns.project_id == project_id, columns.day == day
        return conn.scalar(select(func.count()).select_from(self._table).where(*of_day)) or 0

    def _insert(self, conn: Connection, series: Sequence[K]) -> dict[K, int]:
        if not series:
            return {}
        rows = conn.execute(self._insertion, [one._asdict() for one in series])
        return self._numbers(rows)

    def _numbers(self, rows: Iterable[Any]) -> dict[K, int]:
        return {self._key(*names): series_id for *names, series_id in rows}


def add_on_conflict(
    dialect: str, table: Table, rows: Callable[[Any], Any] = lambda insert: insert
) -> Any:
    """Return an INSERT that adds to rows that are there: all columns but those of the key.

    :param rows: puts them into the statement; by default they are its parameters.
    """
    statement = rows(insert_for(dialect, table))
    key = [column.name for column in table.primary_key]
    counts = [column for column in table.c if column.name not in key]
    added = {column.name: column + statement.excluded[column.name] for column in counts}
    return statement.on_conflict_do_update(index_elements=key, set_=added)


@functools.cache
def adding(dialect: str, table: Table) -> Any:
    """Return :func:`add_on_conflict`, built once: that takes longer than executing it."""
    return add_on_conflict(dialect, table)


def minute_of(moment: datetime) -> int:
    """Return the minute of a moment, counted since 1970."""
    return int(moment.timestamp()) // 60


def kept_minute(minute: int, now: datetime, kept: timedelta) -> int:
    """Return which minute a count goes to: of days that are rolled up, the first of its hour.

    What comes so late (from the emergency folder, after the store was away) would else stay a
    minute beside the hours, which nothing rolls up again.

    :param kept: how long minutes stay minutes.
    """
    return minute - minute % 60 if day_of(minute) < (now - kept).date() else minute


@functools.lru_cache(maxsize=4096)
def day_of(minute: int) -> date:
    """Return the day, in UTC, of a minute."""
    return datetime.fromtimestamp(minute * 60, UTC).date()


def _in_batches(names: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(names), _ASKED):
        yield names[first : first + _ASKED]
