"""From the terms of a query to what a search of lines looks for; what lines do not have is refused.

A term that could find no line, whatever the lines are, is an error that says what was expected: who
searches takes an empty list for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from app.search.clauses import Match, Way, compile_terms
from app.search.errors import QueryError
from app.search.grammar import Query, Term
from app.search.keys import EVENT_KEYS, LINE_FIELDS, known_key
from app.search.lookups import resolver
from app.search.tokens import ANY, equal
from app.signals.logs.conditions import Comparison, Conditions, read_number
from app.stats.tables import releases

# Attributes may have these names, too: `tags[…]` looks for them.
OF_EVENTS = frozenset(EVENT_KEYS) - {
    *("level", "release", "environment", "project", "message", "trace", "has"),
    *("user.id", "user.email", "user.username", "user.ip", "url", "sdk.name"),
}
_EXPECTED = {
    "timestamp": "the time of lines is chosen by the range, with start and end",
    "time": "the time of lines is chosen by the range, with start and end",
    "body": "write message: for words of the message",
    "severity": "write level:",
    "trace_id": "write trace:",
    "span_id": "the lines of a span are on the page of its trace",
    "project_id": "write project:",
}
_COMPARED = re.compile(r"(>=|<=|>|<)(.*)", re.DOTALL)
_TRACE = re.compile(r"[0-9a-f]{32}")
_KEYED = re.compile(r"([(-])([^\W\d][\w.]*):\S")
_JOINED = {
    "OR": "there is no OR: [a,b] means one of several values. In quotes it is a word",
    "AND": "there is no AND: all terms have to be fulfilled. In quotes it is a word",
}


def conditions_of(conn: Connection, query: Query, within: int | None = None) -> Conditions:
    """Return the conditions of a query.

    :param within: the only project that is searched; a term about another one finds nothing.
    :raise QueryError: a term is about events or issues, or cannot find a line.
    """
    _check_joined(query.terms)
    comparisons, others = [], []
    for term in query.terms:
        _check(term)
        comparison = _comparison(term)
        if comparison is None:
            others.append(term)
        else:
            comparisons.append(comparison)
    known = resolver(conn, within, releases.c.has_logs)
    compiled = compile_terms(others, lambda term: _ways(term, known(term), within))
    if compiled.patterns:
        at = compiled.patterns[0].at
        raise QueryError("for logs, * stands only at the end of a word", at)
    return Conditions(compiled.clauses, tuple(comparisons))


def _check(term: Term) -> None:
    if term.is_of_issue:
        raise _refused(term, "finds issues, not logs")
    for name in [value.text for value in term.values] if term.key == "has" else [term.key]:
        key = known_key(name) or name.lower()
        if key in OF_EVENTS:
            raise _refused(term, f"finds events, not logs; an attribute is tags[{name}]")
        if key in LINE_FIELDS:
            raise _refused(term, f"{_EXPECTED[key]}; an attribute is tags[{name}]")
    if not term.key and not term.values[0].is_quoted:
        _check_word(term, term.values[0].text)


def _check_word(term: Term, text: str) -> None:
    """Refuse a key with a sign before it that other grammars have."""
    found = _KEYED.match(text)
    if found and known_key(found[2]):
        minus = "! excludes what a term finds, not -"
        meant = minus if found[1] == "-" else "terms have no brackets: all have to be fulfilled"
        raise QueryError(meant, term.at, term.at + len(text))


def _check_joined(terms: Sequence[Term]) -> None:
    """Refuse words that join terms in other grammars."""
    for term, after in zip(terms, terms[1:], strict=False):
        text = "" if term.key or term.values[0].is_quoted else term.values[0].text
        if text in _JOINED and term is not terms[0]:
            raise QueryError(_JOINED[text], term.at, term.at + len(text))
        if text == "NOT" and after.key:
            raise QueryError("! before a term excludes what it finds, not NOT", term.at)


def _comparison(term: Term) -> Comparison | None:
    """Return the comparison of a term like ``n:>3``; ``None`` for any other term."""
    found = [None if value.is_quoted else _COMPARED.fullmatch(value.text) for value in term.values]
    compared = next(filter(None, found), None)
    if compared is None or not term.key:
        return None
    if term.tag is None:
        raise _refused(term, f"{compared[1]} compares numbers of attributes. In quotes it is text")
    number = read_number(compared[2])
    if number is None or len(found) > 1:
        raise _refused(term, f"one number is expected after {compared[1]}. In quotes it is text")
    return Comparison(term.tag, compared[1], number, term.is_negated)


def _ways(term: Term, known: tuple[Way, ...] | None, within: int | None) -> tuple[Way, ...] | None:
    """Return the ways of a term that tokens of lines have in a form of their own."""
    # In one project, to exclude another one is nothing wrong.
    if known == () and (within is None or not term.is_negated):
        raise _refused(term, _unknown(term, within))
    if term.key == "has" and any(known_key(value.text) == "project" for value in term.values):
        return ((Match(ANY),),)  # Every line has one.
    return _of_traces(term) if term.key == "trace" else known


def _unknown(term: Term, within: int | None) -> str:
    if term.key != "project":
        return "no release is known yet"
    problem = "there is no such project"
    return problem if within is None else f"{problem} in this search, which is of project {within}"


def _of_traces(term: Term) -> tuple[Way, ...] | None:
    if any(value.has_wildcard for value in term.values):
        return None
    ids = [value.text.replace("-", "").lower() for value in term.values]
    if not all(map(_TRACE.fullmatch, ids)):
        raise _refused(term, "an id of 32 hexadecimal digits is expected")
    return tuple((Match(equal("trace", id)),) for id in ids)


def _refused(term: Term, problem: str) -> QueryError:
    at = term.at + term.is_negated
    key = term.key or term.values[0].text
    return QueryError(f"{key}: {problem}", at, at + len(key))
