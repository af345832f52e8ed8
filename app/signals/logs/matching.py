"""Which blocks may have a line that a search looks for, and whether a line is one.

The texts of a line are looked through before its tokens are made: that takes a fiftieth of the
time, and leaves few lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, or_, true

from app.search.clauses import Clause, Match, Way
from app.search.tokens import ANYWHERE, FIELDS, MESSAGE, start_of
from app.search.words import CUT, MAX_TEXT, MAX_WORD, decode, encode, fold, words_of
from app.signals.logs import bits
from app.signals.logs.conditions import Comparison, Conditions, read_number
from app.signals.logs.document import known_beginning, known_pair, tokens_of
from app.signals.logs.line import Line
from app.signals.logs.tables import log_blocks

Places = tuple[int, ...]
_WORDS = {ANYWHERE.word, MESSAGE.word}
_PAIRS = {field.pair for field in FIELDS.values()}
_VALUE = "k"
# The row of a line has its project as a number.
_NOT_IN_TEXTS = start_of("project")
# What stands between two words in a text, or in a text as JSON has it.
_BETWEEN = r"(?:\\[a-z]|\\u[0-9a-f]{4}|[\W_])+"
_WORD_END = r"(?![^\W_])"
# What stands after a value in JSON, or after a release in the texts of a line.
_VALUE_END = r"(?=[\",}\n]|$)"


class Wanted(NamedTuple):
    """What a search looks for.

    :param all: the conditions of a line.
    :param places: for each clause its ways, as the bits of a block that each needs.
    :param needles: parts of the texts of each line, folded.
    :param patterns: expressions that the texts of each line match, folded.
    :param comparisons: each with the expression that finds its numbers in the texts of a line.
    """

    all: Conditions
    places: tuple[tuple[Places, ...], ...]
    needles: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    comparisons: tuple[tuple[re.Pattern[str], Comparison], ...]


def wanted(conditions: Conditions) -> Wanted:
    """Return what a search with these conditions looks for."""
    positive = [clause for clause in conditions.clauses if not clause.is_negated]
    comparisons = [one for one in conditions.comparisons if not one.is_negated]
    positive += [comparison.clause for comparison in comparisons]
    places = (tuple(_places(way) for way in clause.any_of) for clause in positive)
    # A clause with a way that needs nothing says nothing about blocks.
    useful = tuple(ways for ways in places if all(ways))
    ways = [clause.any_of[0] for clause in positive if len(clause.any_of) == 1]
    needles = [_needle(match) for way in ways for match in way]
    needles += [comparison.needle for comparison in comparisons]
    patterns = (pattern for way in ways for pattern in _patterns(way))
    unique = tuple(dict.fromkeys(filter(None, needles)))
    numbers = tuple((found, one) for one in comparisons if (found := one.expression))
    return Wanted(conditions, useful, unique, tuple(patterns), numbers)


def fits(conn: Connection, of: Wanted) -> Any:
    """Return a column for :func:`is_fitting`: whether a block may have a line."""
    if not of.places:
        return true().label("fits")
    if conn.dialect.name == "sqlite":
        # SQLite has no function for bits, and reading them takes as long as a function would.
        return log_blocks.c.bits.label("fits")
    has = (or_(*(and_(*map(_is_set, way)) for way in ways)) for ways in of.places)
    return and_(*has).label("fits")


def _is_set(place: int) -> Any:
    # PostgreSQL reads a part of a value in half of the time that the whole takes.
    byte = func.substring(log_blocks.c.bits, (place >> 3) + 1, 1)
    return func.get_bit(byte, place & 7) == 1


def is_fitting(of: Wanted, found: Any) -> bool:
    """Return whether a block may have a line, from its column :func:`fits`."""
    if not isinstance(found, bytes):
        return bool(found)
    return all(any(bits.has(found, way) for way in ways) for ways in of.places)


def may_match(of: Wanted, text: str) -> bool:
    """Return whether the texts of a row have what every matching line has.

    :param text: all of them as one.
    """
    if not of.needles:
        return True
    folded = text.lower() if text.isascii() else _folded(text)
    for needle in of.needles:
        if needle not in folded:
            return False
    if not all(pattern.search(folded) for pattern in of.patterns):
        return False
    return all(_may_fit(*each, folded) for each in of.comparisons)


def is_match(of: Wanted, line: Line) -> bool:
    """Return whether a line fulfils all conditions."""
    if not all(comparison.is_met(line) for comparison in of.all.comparisons):
        return False
    tokens = tokens_of(line) if of.all.clauses else set[str]()
    return all(_is_met(clause, tokens) != clause.is_negated for clause in of.all.clauses)


def _may_fit(expression: re.Pattern[str], comparison: Comparison, text: str) -> bool:
    for found in expression.findall(text):
        number = read_number(found)
        if number is not None and comparison.fits(number):
            return True
    return False


def _is_met(clause: Clause, tokens: set[str]) -> bool:
    return any(all(_is_there(match, tokens) for match in way) for way in clause.any_of)


def _is_there(match: Match, tokens: set[str]) -> bool:
    if not match.is_beginning:
        return match.token in tokens
    return any(token.startswith(match.token) for token in tokens)


def _places(way: Way) -> Places:
    return tuple(place for token in _in_block(way) for place in bits.places(token))


def _in_block(way: Way) -> Iterator[str]:
    """Yield what a block knows of a way."""
    for match in way:
        kind = match.token[0]
        if kind in _PAIRS:
            continue
        token = ANYWHERE.word + match.token[1:] if kind in _WORDS else match.token
        known = known_beginning(token) if match.is_beginning else token
        if known is not None:
            yield known
    for first, second in _neighbours(way):
        if not second.is_beginning:
            yield known_pair(_word(first), _word(second))


def _neighbours(way: Way) -> list[tuple[Match, Match]]:
    """Return the words of a phrase that follow each other."""
    words = [match for match in way if match.token[0] in _WORDS]
    pairs = [match for match in way if match.token[0] in _PAIRS]
    return list(pairwise(words)) if len(pairs) == len(words) - 1 else []


def _word(match: Match) -> str:
    return decode(match.token[1:])


def _needle(match: Match) -> str | None:
    """Return what the texts of each line with a token have, if there is anything."""
    if match.token[0] in _WORDS:
        return _word(match)
    if match.token[0] != _VALUE or match.token.startswith(_NOT_IN_TEXTS):
        return None
    text = decode(match.token[len(_NOT_IN_TEXTS) :].partition(CUT)[0])
    if text.isprintable() and not set(text) & {'"', "\\"}:
        return text
    return max(words_of(text), key=len, default=None)


def _patterns(way: Way) -> Iterator[re.Pattern[str]]:
    """Yield expressions for words that follow each other, and for the whole value of a key."""
    for first, second in _neighbours(way):
        words = _word(first), _word(second)
        if all(len(word) < MAX_WORD for word in words):
            end = "" if second.is_beginning else _WORD_END
            yield re.compile(f"{re.escape(words[0])}{_BETWEEN}{re.escape(words[1])}{end}")
    for match in way:
        needle = _needle(match) if match.token[0] == _VALUE else None
        is_whole = needle is not None and match.token.endswith(encode(needle))
        if needle is not None and is_whole and not match.is_beginning:
            yield re.compile(f"{re.escape(needle)}{_VALUE_END}")


def _folded(text: str) -> str:
    return "".join(fold(text[at : at + MAX_TEXT]) for at in range(0, len(text), MAX_TEXT))
