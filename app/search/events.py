"""Search of events: the newest ones that fulfil the event terms of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from app.events.tables import events
from app.inputs.period import Range
from app.issues.tables import groupings
from app.search import tokens
from app.search.clauses import NOTHING, Clause, Compiled, Match, compile_terms, exact
from app.search.errors import QueryError
from app.search.grammar import Term
from app.search.lookups import MAX_WAYS, resolver
from app.search.running import Found, Search, find_events
from app.search.state import Span, span_of


@dataclass(frozen=True)
class EventMatches:
    """A page of matching events.

    :param ids: row ids, the newest first.
    :param next: the row id to continue before; ``None`` if there are no more.
    :param searched_back_to: when the last event that was read happened, if the search stopped at
        its bound and not because the page was full.
    """

    ids: list[int]
    next: int | None = None
    searched_back_to: datetime | None = None


def search_events(
    conn: Connection,
    terms: Sequence[Term],
    range: Range,
    *,
    before: int | None = None,
    limit: int = 50,
    project_id: int | None = None,
    allowed: frozenset[int] | None = None,
    issue_id: int | None = None,
    exactly: Mapping[str, str] | None = None,
    span: Span | None = None,
) -> EventMatches:
    """Return the newest events of a range that fulfil all terms.

    :param terms: of events, see :attr:`app.search.grammar.Query.of_event`.
    :param before: the ``next`` of the page before.
    :param allowed: only events of these projects; of more than ``MAX_WAYS``, the caller leaves
        out the others.
    :param exactly: further values by key, as in ``{"level": "error"}``.
    :param span: that of the range, if a caller searches it several times.
    :raise QueryError: a value of a term cannot be searched for.
    """
    compiled = compile_terms(terms, resolver(conn, project_id))
    _refuse_patterns(terms, compiled)
    of_projects = (*exact_clauses(project_id), *_of_projects(allowed))
    of_values = exact_clauses(None, exactly)
    clauses = (*compiled.clauses, *of_projects, *of_values, *_of_issue(conn, issue_id))
    search = Search(clauses, range.start, range.end, issue_id)
    span = span or span_of(conn, range.start, range.end)
    if before is not None:
        span = Span(span.low, min(span.high, before))
    found = find_events(conn, search, span, limit + 1)
    return _page(conn, found, limit)


def newest_matching(
    conn: Connection,
    issue_id: int,
    terms: Sequence[Term],
    range: Range,
    groupings: Sequence[int] | None = None,
) -> int | None:
    """Return the row id of the newest event of an issue that fulfils all terms, if there is one.

    Terms with a ``*`` inside a word are left out: the index of events does not know them.

    :param groupings: the ids of the issue's groupings, if they are known.
    :raise QueryError: a value of a term cannot be searched for.
    """
    clauses = compile_terms(terms, resolver(conn)).clauses
    span = span_of(conn, range.start, range.end)
    # Older events name no grouping. They are found without its token, but only among the newest.
    own = _of_issue(conn, issue_id) if groupings is None else _of_groupings(groupings)
    for of_issue in (own, ()):
        search = Search((*clauses, *of_issue), range.start, range.end, issue_id)
        if found := find_events(conn, search, span, 1).ids:
            return found[0]
    return None


def are_older_gone(conn: Connection, range: Range) -> bool:
    """Return whether a range begins before the oldest stored event, and older ones were removed."""
    query = select(events.c.id, events.c.timestamp).order_by(events.c.id).limit(1)
    first = conn.execute(query).first()
    return is_before(range, None if first is None else (first.id, first.timestamp))


def is_before(range: Range, oldest: tuple[int, datetime] | None) -> bool:
    """Return whether a range begins before the oldest stored event, and older ones were removed.

    :param oldest: the row id of the event, and when it happened.
    """
    if oldest is None or oldest[0] == 1:
        return False
    return range.start is None or range.start < oldest[1]


def exact_clauses(
    project_id: int | None, exactly: Mapping[str, str] | None = None
) -> Iterable[Clause]:
    """Return the clauses of a project and of other values that a page has selected."""
    given = {} if project_id is None else {"project": str(project_id)}
    return [exact(key, value) for key, value in (given | dict(exactly or {})).items()]


def happened_at(conn: Connection, event_row: int | None) -> datetime | None:
    """Return when the first event from a row id on happened; ``None`` without a row id."""
    if event_row is None:
        return None
    query = select(events.c.timestamp).where(events.c.id >= event_row)
    return conn.scalar(query.order_by(events.c.id).limit(1))


def _page(conn: Connection, found: Found, limit: int) -> EventMatches:
    if len(found.ids) > limit:
        return EventMatches(found.ids[:limit], found.ids[limit - 1])
    return EventMatches(found.ids, found.back_to, happened_at(conn, found.back_to))


def _of_projects(ids: frozenset[int] | None) -> tuple[Clause, ...]:
    """Return the clause of the events of any of some projects."""
    if ids is None or len(ids) > MAX_WAYS:
        return ()
    ways = tuple((Match(tokens.equal("project", str(number))),) for number in sorted(ids))
    return (Clause(ways or NOTHING),)


def _of_issue(conn: Connection, issue_id: int | None) -> tuple[Clause, ...]:
    """Return the clause of the events that the groupings of an issue assigned to it."""
    if issue_id is None:
        return ()
    query = select(groupings.c.id).where(groupings.c.issue_id == issue_id).limit(MAX_WAYS)
    return _of_groupings(list(conn.scalars(query)))


def _of_groupings(ids: Sequence[int]) -> tuple[Clause, ...]:
    ways = tuple((Match(tokens.of_grouping(number)),) for number in ids)
    return (Clause(ways),) if ways else ()


def _refuse_patterns(terms: Sequence[Term], compiled: Compiled) -> None:
    if compiled.patterns:
        at = compiled.patterns[0].at
        raise QueryError("for events, * stands only at the end of a word", at)
