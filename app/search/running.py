"""Run conditions on the index of events, newest first and within a bound.

    span of row ids ── windows, the newest first, each four times as long ── events of each window
                       └─ until there are enough, or MAX_CANDIDATES are read

The *candidates* are the events that fulfil the rarest condition. A search for one customer reads
few candidates, and so the whole store. A search for what nearly every event has stops after
MAX_CANDIDATES, even if another condition leaves none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, bindparam, text

from app.search.clauses import Clause
from app.search.index import full_text
from app.search.state import Span
from app.store import UtcDateTime

# About 8 ms of CPU, with the rows of these events.
MAX_CANDIDATES = 20_000
# A search for issues reads the row of each candidate, and it never has enough before its bound.
MAX_CANDIDATES_OF_ISSUES = 10_000
# Row ids of the longest window. On PostgreSQL, its condition names each block of row ids.
MAX_WINDOW = 1_000_000
GROWTH = 4


@dataclass(frozen=True)
class Search:
    """What is searched for.

    :param clauses: conditions on tokens. :param start: the time from which on it happened.
    :param end: the time before which it happened. :param issue_id: only events of this issue.
    """

    clauses: tuple[Clause, ...]
    start: datetime | None = None
    end: datetime | None = None
    issue_id: int | None = None

    @property
    def positive(self) -> list[Clause]:
        """The clauses that are not negated."""
        return [clause for clause in self.clauses if not clause.is_negated]


@dataclass
class Found:
    """What a search found so far.

    :param ids: row ids, the newest event first; or row ids of issues.
    :param back_to: the row id down to which it read, if it did not read everything.
    """

    ids: list[int] = field(default_factory=list)
    back_to: int | None = None


class Bounds(NamedTuple):
    """When a search ends: how many results are enough, and how many candidates it may read."""

    enough: int
    candidates: int


class _Rarest(NamedTuple):
    """The rarest condition, and how many events with it were read."""

    clauses: tuple[Clause, ...]
    times: int


def find_events(conn: Connection, search: Search, span: Span, limit: int) -> Found:
    """Return the newest matching events of a span of row ids.

    :param limit: how many are enough.
    """
    order = f"ORDER BY {full_text(conn).event_id} DESC LIMIT :limit"
    statement = _statement(conn, search, "e.id", order)
    return _find(conn, search, span, statement, Bounds(limit, MAX_CANDIDATES))


def find_issues(conn: Connection, search: Search, span: Span, limit: int) -> Found:
    """Return the issues that have a matching event in a span of row ids, in no order.

    :param limit: how many are enough.
    """
    is_long = span.high - span.low > MAX_CANDIDATES_OF_ISSUES
    is_one = len(search.clauses) == len(search.positive) == 1
    if is_long and is_one and full_text(conn).is_ordered:
        return _issues_of_one(conn, search, span, limit)
    statement = _statement(conn, search, "DISTINCT e.issue_id", "LIMIT :limit")
    return _find(conn, search, span, statement, Bounds(limit, MAX_CANDIDATES_OF_ISSUES))


def _issues_of_one(conn: Connection, search: Search, span: Span, limit: int) -> Found:
    """Return the issues of the newest events with the only condition of a search.

    The candidates are those events, so one statement reads them, and no window is needed. For the
    beginning of a word, FTS5 merges the places of all tokens with it each time that it is asked.
    """
    values = _values(conn, search, span, limit)
    rows = conn.execute(_of_one(conn, search), values | {"most": MAX_CANDIDATES_OF_ISSUES + 1})
    *found, (count, lowest) = map(tuple, rows)
    is_cut = count > MAX_CANDIDATES_OF_ISSUES and lowest > span.low
    return Found([issue_id for issue_id, _ in found], lowest if is_cut else None)


def _of_one(conn: Connection, search: Search) -> TextClause:
    """Return the statement for the issues, and in the last row the number and end of the events."""
    index = full_text(conn)
    conditions, types = _of_events(search)
    where = " AND ".join(["e.id = few.id", *conditions])
    return text(
        f"WITH few AS MATERIALIZED (SELECT {index.event_id} AS id FROM {index.events}"  # noqa: S608
        f" WHERE {index.is_event} ORDER BY {index.event_id} DESC LIMIT :most)"
        f" SELECT * FROM (SELECT DISTINCT e.issue_id, 0 FROM few CROSS JOIN events AS e"
        f" WHERE {where} LIMIT :limit) UNION ALL SELECT count(*), min(id) FROM few"
    ).bindparams(*types)


def _find(
    conn: Connection, search: Search, span: Span, statement: TextClause, bounds: Bounds
) -> Found:
    found: dict[int, None] = {}
    high, length, rarest = span.high, bounds.candidates, None
    while high > span.low:
        window, is_last = Span(max(span.low, high - length), high), False
        if rarest is not None:
            window, rarest, is_last = _bounded(conn, window, rarest, bounds.candidates)
        left = bounds.enough - len(found)
        found.update(dict.fromkeys(_read(conn, search, statement, window, left)))
        high = window.low
        if len(found) >= bounds.enough or is_last:
            return Found(list(found), high if high > span.low else None)
        if high > span.low and rarest is None:
            rarest = _rarest(conn, search, window)
        length = min(length * GROWTH, MAX_WINDOW)
    return Found(list(found))


def _read(
    conn: Connection, search: Search, statement: TextClause, window: Span, limit: int
) -> Sequence[int]:
    return list(conn.scalars(statement, _values(conn, search, window, limit)))


def _values(conn: Connection, search: Search, window: Span, limit: int) -> dict[str, Any]:
    query = full_text(conn).query_of(search.clauses, *window)
    values = {"query": query, "low": window.low, "high": window.high, "limit": limit}
    given = {"start": search.start, "end": search.end, "issue_id": search.issue_id}
    return values | {name: value for name, value in given.items() if value is not None}


def _statement(conn: Connection, search: Search, what: str, tail: str) -> TextClause:
    index = full_text(conn)
    conditions, types = _of_events(search)
    is_in = [index.is_event, f"e.id = {index.event_id}", *conditions]
    # CROSS JOIN: SQLite reads the index first, and then the row of each event.
    source = f"{index.events} CROSS JOIN events AS e"
    sql = f"SELECT {what} FROM {source} WHERE {' AND '.join(is_in)} {tail}"  # noqa: S608 -- ours
    return text(sql).bindparams(*types)


def _of_events(search: Search) -> tuple[list[str], list[Any]]:
    """Return the conditions on the rows of events, and the types of their parameters."""
    is_in: list[str] = []
    types: list[Any] = []
    if search.start is not None:
        is_in.append("e.timestamp >= :start")
        types.append(bindparam("start", type_=UtcDateTime()))
    if search.end is not None:
        is_in.append("e.timestamp < :end")
        types.append(bindparam("end", type_=UtcDateTime()))
    if search.issue_id is not None:
        is_in.append("e.issue_id = :issue_id")
    return is_in, types


def _rarest(conn: Connection, search: Search, window: Span) -> _Rarest:
    """Return the condition that the fewest events of a window fulfil."""
    each: list[tuple[Clause, ...]] = [(clause,) for clause in search.positive] or [()]
    return min(
        (_Rarest(clause, _count(conn, clause, window, MAX_CANDIDATES)[0]) for clause in each),
        key=lambda rarest: rarest.times,
    )


def _bounded(
    conn: Connection, window: Span, rarest: _Rarest, at_most: int
) -> tuple[Span, _Rarest, bool]:
    """Return the part of a window that may still be read, and whether it is the last one."""
    left = at_most - rarest.times
    count, lowest = _count(conn, rarest.clauses, window, left + 1)
    if count > left:
        return Span(lowest, window.high), rarest, True
    return window, rarest._replace(times=rarest.times + count), False


def _count(
    conn: Connection, clauses: tuple[Clause, ...], window: Span, at_most: int
) -> tuple[int, int]:
    """Return how many events of a window fulfil conditions, and the lowest row id of them."""
    index = full_text(conn)
    some = (
        f"SELECT {index.event_id} AS id FROM {index.events} WHERE {index.is_event}"  # noqa: S608
        f" ORDER BY {index.event_id} DESC LIMIT :limit"
    )
    query = index.query_of(clauses, *window)
    values = {"query": query, "low": window.low, "high": window.high, "limit": at_most}
    row = conn.execute(text(f"SELECT count(*), min(id) FROM ({some}) AS few"), values).one()  # noqa: S608
    return int(row[0]), int(row[1] or 0)
