"""From the terms of a query to clauses about tokens, which both databases understand.

term ── each value ── words or a value of a key ── matches ── clause: any way, all matches of it

A ``*`` at the end of a value is a match of the beginning of tokens. A ``*`` anywhere else cannot be
found by an index of tokens: such a term becomes a :class:`Pattern`, for the documents of issues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.protocol.lenient import read_hex
from app.search import tokens
from app.search.document import tag_key
from app.search.errors import QueryError
from app.search.grammar import Term, Value
from app.search.keys import EVENT_KEYS
from app.search.tokens import FIELDS, Field, trigrams
from app.search.words import MAX_WORD, encode, fold, plain, words_of

# A beginning with fewer letters stands for too many words.
MIN_BEGINNING = 2
# Of a piece between two stars.
MIN_PIECE = 3
_WORD_OR_STAR = re.compile(r"(?:[^\W_]|\*)+")
# A character in a token, see `words.py`.
_CODES = "(?:[a-y0-9]|z(?:[a-z]|[01][0-9a-f]{5}))"
_LETTERS = re.compile(r"[^\W_]+")
# Keys whose values are not in the documents of issues.
OWN_KEYS = ("user.id", "user.email", "user.username", "user.ip", "url", "trace", "project")


class Match(NamedTuple):
    """A token, or the beginning of tokens."""

    token: str
    is_beginning: bool = False


# One way to fulfil a clause: all of its matches.
Way = tuple[Match, ...]


# A token that no document has.
NOTHING: tuple[Way, ...] = ((Match("y"),),)


class Clause(NamedTuple):
    """A condition on the tokens of an event: one of the ways, with all matches of that way.

    :param any_of: the ways, at least one.
    """

    any_of: tuple[Way, ...]
    is_negated: bool = False


@dataclass(frozen=True)
class Pattern:
    """A condition on the tokens of an issue, with ``*`` inside a word.

    :param any_of: ways; of each way, all expressions have to match a token.
    :param narrowing: a clause that finds all issues that may fulfil it, and others.
    :param at: the place of its term in the query.
    """

    any_of: tuple[tuple[re.Pattern[str], ...], ...]
    narrowing: Clause
    is_negated: bool = False
    at: int = 0

    def is_met(self, tokens_of_issue: Sequence[str]) -> bool:
        """Return whether the tokens of an issue fulfil it, negated or not."""
        text = " ".join(tokens_of_issue)
        return any(all(part.search(text) for part in way) for way in self.any_of)


class Compiled(NamedTuple):
    """The event terms of a query, as conditions on the index."""

    clauses: tuple[Clause, ...]
    patterns: tuple[Pattern, ...]


# Returns, for values of the key `project` or `release:latest`, the ways to find them.
Resolve = Callable[[Term], tuple[Way, ...] | None]


def exact(key: str, value: str) -> Clause:
    """Return the clause of events that have a value for a key."""
    return Clause(((Match(tokens.equal(key, value)),),))


def compile_terms(terms: Sequence[Term], resolve: Resolve) -> Compiled:
    """Return the conditions of event terms.

    :param resolve: returns the ways of a term that needs the database; ``None`` for all others.
    :raise QueryError: a value has no letter or digit, or too few beside a ``*``.
    """
    clauses: list[Clause] = []
    patterns: list[Pattern] = []
    for term in terms:
        ways = resolve(term)
        if ways is not None:
            clauses.append(Clause(ways or NOTHING, term.is_negated))
        elif any(_has_inner_star(value) for value in term.values):
            patterns.append(_pattern(term))
        else:
            clauses.append(Clause(tuple(_ways(term)), term.is_negated))
    return Compiled(tuple(clauses), tuple(patterns))


def key_of(term: Term) -> str:
    """Return the key of a term as it stands in tokens."""
    return term.key if term.tag is None else tag_key(term.tag)


def _ways(term: Term) -> Iterator[Way]:
    for value in term.values:
        if term.key == "has":
            if value.has_wildcard:
                raise QueryError("the name of a key or tag is expected, without *", term.at)
            yield (Match(tokens.has(_key_named(value.text))),)
        elif term.key in FIELDS:
            yield _words(term, value, FIELDS[term.key])
        else:
            yield (_value(term, value),)


def _key_named(name: str) -> str:
    is_key = name.lower() in (*EVENT_KEYS, "user") or name.startswith("tags[")
    return name if is_key else tag_key(name)


def _value(term: Term, value: Value) -> Match:
    if not value.has_wildcard:
        # As documents have it: without dashes.
        trace_id = read_hex(value.text, 32) if term.key == "trace" else None
        return Match(tokens.equal(key_of(term), trace_id or value.text))
    start = value.text.rstrip("*")
    if not start:
        return Match(tokens.has(key_of(term)))
    return Match(tokens.beginning(key_of(term), start), is_beginning=True)


def _words(term: Term, value: Value, field: Field) -> Way:
    """Return the matches of words that follow each other."""
    found = words_of(value.text)
    if not found:
        raise QueryError("a letter or digit is expected", term.at)
    is_open = value.has_wildcard and _LETTERS.search(plain(value.text).rstrip("*")[-1:]) is not None
    if is_open and len(found) == 1 and len(found[0]) < MIN_BEGINNING:
        raise QueryError(f"at least {MIN_BEGINNING} letters are needed before *", term.at)
    last = len(found) - 1
    words = [Match(tokens.word(field, word), is_open and n == last) for n, word in enumerate(found)]
    pairs = zip(found, found[1:], strict=False)
    return (
        *words,
        *(
            Match(tokens.pair(field, first, second), is_open and n + 1 == last)
            for n, (first, second) in enumerate(pairs)
        ),
    )


def _has_inner_star(value: Value) -> bool:
    return value.has_wildcard and "*" in value.text.rstrip("*")


def _pattern(term: Term) -> Pattern:
    if term.key in OWN_KEYS or term.key == "has":
        raise QueryError("* stands only at the end of this value", term.at)
    ways, narrowing = [], []
    for value in term.values:
        text = value.text if value.has_wildcard else value.text.replace("*", " ")
        parts = _parts(term, text)
        ways.append(tuple(re.compile(_expression(start, part)) for start, part in parts))
        narrowing.append(tuple(match for _, part in parts for match in _narrowing(part)))
    if not all(narrowing):
        raise QueryError(f"at least {MIN_PIECE} letters in a row are needed beside *", term.at)
    return Pattern(tuple(ways), Clause(tuple(narrowing)), term.is_negated, term.at)


def _parts(term: Term, text: str) -> list[tuple[str, str]]:
    """Return the parts of a value, each with what its tokens begin with."""
    if term.key not in FIELDS:
        return [(tokens.start_of(key_of(term)), fold(text))]
    letter = FIELDS[term.key].word
    return [
        (letter, part.casefold()) for part in _WORD_OR_STAR.findall(plain(text)) if part.strip("*")
    ]


def _expression(start: str, part: str) -> str:
    """Return the expression for a token, among tokens that are separated by spaces."""
    if "*" not in part:
        return f"(?<![0-9a-z]){start}{re.escape(encode(part, 10 * MAX_WORD))}(?![0-9a-z])"
    first, *middle, last = (re.escape(encode(piece, 10 * MAX_WORD)) for piece in part.split("*"))
    # The first place of a piece is the best one. So no place is tried twice, however many stars.
    found = "".join(f"(?>{_CODES}*?{piece})" for piece in middle if piece)
    end = f"{_CODES}*{last}(?![0-9a-z])" if last else ""
    return f"(?<![0-9a-z]){start}{first}{found}{end}"


def _narrowing(part: str) -> set[Match]:
    """Return the trigrams that a token has to have somewhere."""
    pieces = [word for piece in part.split("*") for word in _LETTERS.findall(piece)]
    return {Match(gram) for piece in pieces for gram in trigrams(encode(piece))}
