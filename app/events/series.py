"""Series: what is counted together, by the day, numbered and bounded.

A series is alone with its project, its day (UTC, of this service's clock) and its names. What is
counted of it stands in rows that refer to it by number. A day takes so many series of a project;
what is beyond them is counted as one, OTHER.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, bindparam, func, select, tuple_

from app.db import insert_for

OTHER = "<other>"
# Series whose numbers a process remembers; asking for them is most of what a count costs.
MAX_KNOWN = 20_000

# A NamedTuple of project, day and names, of which the first one is OTHER's.
S = TypeVar("S", bound=tuple[Any, ...])


class SeriesBook(Generic[S]):
    """Numbers of series in one table, found or made."""

    def __init__(self, table: Table, kind: Callable[..., S], fields: tuple[str, ...]) -> None:
        self._table, self._kind, self._fields = table, kind, fields
        columns = [table.c[name] for name in fields]
        wanted = tuple_(*columns).in_(bindparam("series", expanding=True))
        self._find_statement = select(*columns, table.c.id).where(wanted)
        self._insert_statement = table.insert().returning(*columns, table.c.id)
        self._known: dict[S, int] = {}

    def ids(self, conn: Connection, wanted: set[S], at_most: int) -> dict[S, int]:
        """Return the number of each.

        :param at_most: as many as a day takes of a project.
        """
        ids = {one: self._known[one] for one in wanted if one in self._known}
        if missing := wanted - ids.keys():
            found = self._find(conn, missing)
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            self._known.update(found)
            # Those that are made here are not remembered: this transaction may be rolled back.
            ids |= found | self._make(conn, missing - found.keys(), at_most)
        return ids

    def _find(self, conn: Connection, wanted: Iterable[S]) -> dict[S, int]:
        rows = conn.execute(self._find_statement, {"series": sorted(wanted)})
        return {self._kind(*names): series_id for *names, series_id in rows}

    def _make(self, conn: Connection, missing: set[S], at_most: int) -> dict[S, int]:
        """Make series as far as their days have room; those beyond get the number of OTHER."""
        made: dict[S, int] = {}
        for project_id, day in sorted({(one[0], one[1]) for one in missing}):
            new = sorted(one for one in missing if (one[0], one[1]) == (project_id, day))
            room = max(0, at_most - self._how_many(conn, project_id, day))
            made |= self._insert(conn, new[:room])
            if beyond := new[room:]:
                made |= dict.fromkeys(beyond, self._other(conn, project_id, day))
        return made

    def _how_many(self, conn: Connection, project_id: int, day: date) -> int:
        of = self._table.c
        of_day = of.project_id == project_id, of.day == day
        return conn.scalar(select(func.count()).select_from(self._table).where(*of_day)) or 0

    def _other(self, conn: Connection, project_id: int, day: date) -> int:
        rest = [""] * (len(self._fields) - 3)
        other = self._kind(project_id, day, OTHER, *rest)
        found = self._find(conn, [other]) or self._insert(conn, [other])
        return found[other]

    def _insert(self, conn: Connection, series: list[S]) -> dict[S, int]:
        if not series:
            return {}
        values = [dict(zip(self._fields, one, strict=True)) for one in series]
        rows = conn.execute(self._insert_statement, values)
        return {self._kind(*names): series_id for *names, series_id in rows}


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
