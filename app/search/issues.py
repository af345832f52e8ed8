"""Search of issues: those that have an event which fulfils the event terms of a query.

no * inside a word ── index of events, newest first ── the issues of the matching events
                      └─ stopped at its bound ── and issues whose documents have all the words
* inside a word    ── index of issues ── their documents are compared, one by one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, select, text

from app.inputs.period import Range
from app.issues.tables import issues
from app.search.clauses import OWN_KEYS, Clause, Pattern, compile_terms
from app.search.events import exact_clauses, happened_at
from app.search.grammar import Term
from app.search.index import full_text
from app.search.issue_documents import without_trigrams
from app.search.lookups import resolver
from app.search.running import Search, find_issues
from app.search.state import span_of
from app.search.tokens import start_of
from app.store import RowId

# Issues that an answer has at most.
MAX_ISSUES = 5000
# Documents that are compared for `*` inside a word; about 20 ms of CPU.
MAX_COMPARED = 1000


@dataclass(frozen=True)
class IssueMatches:
    """The issues that a search found.

    :param ids: row ids, in no order.
    :param searched_back_to: when the last event that was read happened, if the search stopped at
        its bound.
    :param is_cut: whether there may be more issues than these.
    """

    ids: list[int]
    searched_back_to: datetime | None = None
    is_cut: bool = False


def issues_with(
    conn: Connection,
    terms: Sequence[Term],
    range: Range,
    *,
    project_id: int | None = None,
    exactly: Mapping[str, str] | None = None,
) -> IssueMatches:
    """Return the issues with one stored event in a range that fulfils all terms.

    A term with ``*`` inside a word looks at all events of an issue together.

    :param terms: of events, see :attr:`app.search.grammar.Query.of_event`.
    :param exactly: further values of the event by key, as in ``{"environment": "production"}``.
    :raise QueryError: a value of a term cannot be searched for.
    """
    compiled = compile_terms(terms, resolver(conn, project_id))
    clauses = (*compiled.clauses, *exact_clauses(None, exactly))
    found = _by_events(conn, (*clauses, *exact_clauses(project_id)), range)
    if found.searched_back_to and _are_in_documents(clauses):
        more = _by_documents(conn, clauses, range, project_id)
        found = IssueMatches(list({*found.ids, *more}), is_cut=len(more) >= MAX_ISSUES)
    for pattern in compiled.patterns:
        found = _narrowed(conn, found, pattern)
    return found


def _by_events(conn: Connection, clauses: tuple[Clause, ...], range: Range) -> IssueMatches:
    search = Search(clauses, range.start, range.end)
    found = find_issues(conn, search, span_of(conn, range.start, range.end), MAX_ISSUES)
    back_to = happened_at(conn, found.back_to)
    return IssueMatches(found.ids, back_to, is_cut=back_to is not None)


def _are_in_documents(clauses: Sequence[Clause]) -> bool:
    """Return whether the documents of issues have what all clauses ask for."""
    if any(clause.is_negated for clause in clauses):
        return False
    own = tuple(start_of(key) for key in OWN_KEYS)
    ways = (way for clause in clauses for way in clause.any_of)
    return not any(match.token.startswith(own) for way in ways for match in way)


def _by_documents(
    conn: Connection, clauses: tuple[Clause, ...], range: Range, project_id: int | None
) -> list[int]:
    """Return issues that were seen in a range, and whose documents fulfil all clauses."""
    index = full_text(conn)
    hits = text(index.issues).columns(column("issue_id", RowId)).subquery()
    query = select(issues.c.id).join(hits, hits.c.issue_id == issues.c.id)
    if project_id is not None:
        query = query.where(issues.c.project_id == project_id)
    query = query.where(*_seen_in(range)).order_by(issues.c.last_seen.desc()).limit(MAX_ISSUES)
    return list(conn.scalars(query, {"query": index.issue_query_of(clauses)}))


def _seen_in(range: Range) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if range.start is not None:
        conditions.append(issues.c.last_seen >= range.start)
    if range.end is not None:
        conditions.append(issues.c.first_seen < range.end)
    return conditions


def _narrowed(conn: Connection, found: IssueMatches, pattern: Pattern) -> IssueMatches:
    """Return those of the found issues that fulfil a pattern."""
    near = _by_narrowing(conn, pattern)
    wanted = [issue_id for issue_id in found.ids if issue_id in near]
    documents: dict[int, Any] = full_text(conn).tokens_of_issues(conn, wanted[:MAX_COMPARED])
    met = {id for id, all in documents.items() if pattern.is_met(without_trigrams(all))}
    ids = [id for id in found.ids if (id in met) is not pattern.is_negated]
    is_cut = found.is_cut or len(wanted) > MAX_COMPARED
    return IssueMatches(ids, found.searched_back_to, is_cut)


def _by_narrowing(conn: Connection, pattern: Pattern) -> set[int]:
    index = full_text(conn)
    query = index.issue_query_of((pattern.narrowing,))
    return set(conn.scalars(text(index.issues), {"query": query}))
