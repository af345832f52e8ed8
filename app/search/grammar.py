r"""The grammar of queries, one for issues and events, pages and API.

query = (term, separated by spaces)
term  = ["!"] [key ":"] values      without a key: a free word
key   = letters, digits, "_", ".", "-"; or tags[name], for a tag that is named as a key or oddly
values = value | "[" value, value … "]"      any of them; lists only after a key
value = "in quotes, with \" and \\" | text without spaces, in which * stands for anything

``>``, ``>=``, ``<`` and ``<=`` stand before the value of a number or a time.

Reading takes time in proportion to the length of the query, which is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from app.protocol.lenient import clean_text
from app.search.errors import QueryError
from app.search.keys import (
    ISSUE_KEYS,
    KEYS,
    MEANINGS,
    NUMBERS,
    REPEATED,
    TIMES,
    closest_key,
    known_key,
    needs_brackets,
    problem_of,
)

__all__ = ["Query", "QueryError", "Term", "Value", "hints", "parse", "with_term", "without"]

MAX_LENGTH = 1000
# Terms, and values in lists.
MAX_TERMS = 50

_SPACES = re.compile(r"\s*")
_KEY = re.compile(r"[^\W\d][\w.\-]*")
_TAG = re.compile(r"tags\[", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(r"\S+")
_ITEM = re.compile(r"[^\s,\]]+")
_NAME_OF_TAG = re.compile(r"[^\]\"]+")
_ESCAPED = re.compile(r"\\([\"\\])")
_OPERATOR = re.compile(r">=|<=|>|<|")


@dataclass(frozen=True)
class Value:
    """A value of a term.

    :param text: without quotes and escapes.
    :param has_wildcard: whether ``*`` in the text stands for any characters. In quotes it is a
        character as any other.
    """

    text: str
    is_quoted: bool = False
    has_wildcard: bool = False

    def __str__(self) -> str:
        """Return the value as a query has it."""
        return _quoted(self.text) if self.is_quoted else self.text


@dataclass(frozen=True)
class Term:
    """A condition of a query.

    :param key: one of :data:`~app.search.keys.KEYS`; the name of a tag; ``tags[level]`` for a tag
        with the name of a key; empty for a free word.
    :param operator: one of ``= > >= < <=``.
    :param values: one of them has to fit.
    :param at: the index of its first character in the query.
    """

    key: str
    operator: str
    values: tuple[Value, ...]
    is_negated: bool = False
    at: int = field(default=0, compare=False)

    @property
    def is_of_issue(self) -> bool:
        """Whether the term looks at the issue, and not at an event."""
        return self.key in ISSUE_KEYS

    @property
    def tag(self) -> str | None:
        """The name of the tag that the term looks at; ``None`` if it looks at something else."""
        if self.key.startswith("tags[") and self.key.endswith("]"):
            return self.key[5:-1]
        return None if self.key in KEYS or not self.key else self.key

    def __str__(self) -> str:
        """Return the term as a query has it."""
        sign = "!" if self.is_negated else ""
        operator = "" if self.operator == "=" else self.operator
        texts = [str(value) for value in self.values]
        # A free word is never a list.
        is_list = len(texts) > 1 or bool(self.key and texts[0].startswith("["))
        values = f"[{','.join(texts)}]" if is_list else texts[0]
        return f"{sign}{_written_key(self)}{operator}{values}"


@dataclass(frozen=True)
class Query:
    """The terms of a query, all of which have to be fulfilled."""

    terms: tuple[Term, ...] = ()

    @property
    def of_issue(self) -> tuple[Term, ...]:
        """The terms that look at the issue."""
        return tuple(term for term in self.terms if term.is_of_issue)

    @property
    def of_event(self) -> tuple[Term, ...]:
        """The terms that one event has to fulfil together."""
        return tuple(term for term in self.terms if not term.is_of_issue)

    def __bool__(self) -> bool:
        """Return whether the query has any term."""
        return bool(self.terms)

    def __str__(self) -> str:
        """Return the text of the query."""
        return " ".join(str(term) for term in self.terms)


# A page asks several times for the query of its address.
@lru_cache(maxsize=200)
def parse(text: str) -> Query:
    """Read a query.

    :raise QueryError: the query is too long, a quote or bracket is open, or a value is wrong.
    """
    text = clean_text(text)
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a query has at most {MAX_LENGTH:,} characters", MAX_LENGTH, len(text))
    terms: list[Term] = []
    at, values = _skip(text, 0), 0
    while at < len(text):
        term, end = _term(text, at)
        terms.append(term)
        values += len(term.values)
        if values > MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", at, end)
        at = _skip(text, end)
    return Query(tuple(terms))


def with_term(query: Query, key: str, value: str, *, is_negated: bool = False) -> Query:
    """Return a query with a term, in place of other terms of its key.

    :param key: as in :class:`Term`; empty for a free word.
    :param value: the text itself; it is put in quotes if it has to be.
    """
    operator, text = _split_operator(key, value)
    term = Term(_canonical(key), operator, (_value_of(_canonical(key), text),), is_negated)
    if key in REPEATED:
        return query if term in query.terms else Query((*query.terms, term))
    return Query((*without(query, term.key).terms, term))


def without(query: Query, key: str, value: str | None = None) -> Query:
    """Return a query without the terms of a key, or only without those that have a value."""
    key = _canonical(key)

    def goes(term: Term) -> bool:
        return term.key == key and value in (None, *(given.text for given in term.values))

    return Query(tuple(term for term in query.terms if not goes(term)))


def hints(query: Query) -> list[str]:
    """Return a sentence for each key that is the name of a tag, but looks like a typo."""
    names = [term.key for term in query.terms if term.tag == term.key]
    meant = {name: closest_key(name) for name in names}
    return [
        f"“{name}” is read as the name of a tag. Did you mean {key}?"
        for name, key in meant.items()
        if key
    ]


class _Key(NamedTuple):
    """The key of a term; ``end`` is the index after its colon."""

    name: str
    end: int


def _term(text: str, start: int) -> tuple[Term, int]:
    """Read the term at an index, and return it with the index after it."""
    is_negated = text[start] == "!" and _is_in_word(text, start + 1)
    at = start + is_negated
    key = _key(text, at)
    if key is None:
        value, end = _value(text, at, _WORD)
        return Term("", "=", (value,), is_negated, start), end
    operator, at = _operator(text, key)
    values, end = _values(text, key.name, operator, at)
    return Term(key.name, operator, values, is_negated, start), end


def _key(text: str, at: int) -> _Key | None:
    """Read a key and its colon; ``None`` if a free word begins here."""
    if tag := _tag_key(text, at):
        return tag
    found = _KEY.match(text, at)
    if found is None or text[found.end() : found.end() + 1] != ":":
        return None
    known, end = known_key(found[0]), found.end() + 1
    if known:
        return _Key(known, end)
    # "PaymentError: timed out", "https://…" and "std::vector" are pasted texts.
    is_text = not _is_in_word(text, end) or text.startswith(("//", ":"), end)
    return None if is_text else _Key(found[0], end)


def _tag_key(text: str, at: int) -> _Key | None:
    opened = _TAG.match(text, at)
    if opened is None:
        return None
    if text.startswith('"', opened.end()):
        quoted, end = _quoted_at(text, opened.end())
        name = quoted.text
    else:
        found = _NAME_OF_TAG.match(text, opened.end())
        name, end = (found[0], found.end()) if found else ("", at)
    if not name or not text.startswith("]:", end):
        return None
    return _Key(_canonical(f"tags[{name}]"), end + 2)


def _operator(text: str, key: _Key) -> tuple[str, int]:
    operator, _ = _split_operator(key.name, text[key.end : key.end + 2])
    return operator, key.end + (0 if operator == "=" else len(operator))


def _split_operator(key: str, text: str) -> tuple[str, str]:
    if key not in NUMBERS and key not in TIMES:
        return "=", text
    found = _OPERATOR.match(text)
    operator = found[0] if found else ""
    return operator or "=", text[len(operator) :]


def _values(text: str, key: str, operator: str, at: int) -> tuple[tuple[Value, ...], int]:
    """Read the values of a key; all of them are right."""
    if not _is_in_word(text, at):
        raise QueryError(f"a value is expected after {key}:", max(at - 1, 0), at)
    if text[at] == "[":
        found, end = _list(text, at)
    else:
        value, end = _value(text, at, _WORD)
        found = [(value, at, end)]
    for value, start, stop in found:
        if problem := problem_of(key, operator, value.text):
            raise QueryError(problem, start, stop)
    return tuple(value for value, _, _ in found), end


def _list(text: str, opened: int) -> tuple[list[tuple[Value, int, int]], int]:
    """Read a list; each value comes with where it begins and ends."""
    found: list[tuple[Value, int, int]] = []
    at = opened
    while at == opened or text[at : at + 1] == ",":
        start = _skip(text, at + 1)
        if text[start : start + 1] in ("", ",", "]"):
            break
        value, end = _value(text, start, _ITEM)
        found.append((value, start, end))
        at = _skip(text, end)
    if text[at : at + 1] != "]" or not found:
        raise QueryError("a list is expected, as in [a,b]", opened, at + 1)
    _check_end(text, at + 1)
    return found, at + 1


def _value(text: str, at: int, bare: re.Pattern[str]) -> tuple[Value, int]:
    """Read one value: in quotes, or bare as a pattern has it."""
    if text[at] == '"':
        value, end = _quoted_at(text, at)
        if bare is _WORD:
            _check_end(text, end)
        return value, end
    found = bare.match(text, at)
    word = found[0] if found else ""
    return Value(word, has_wildcard="*" in word), at + len(word)


def _quoted_at(text: str, at: int) -> tuple[Value, int]:
    found = _QUOTED.match(text, at)
    if found is None:
        raise QueryError("the quote is not closed", at, len(text))
    return Value(_ESCAPED.sub(r"\1", found[1]), is_quoted=True), found.end()


def _check_end(text: str, end: int) -> None:
    if _is_in_word(text, end):
        raise QueryError("a space is expected", end)


def _is_in_word(text: str, at: int) -> bool:
    return at < len(text) and not text[at].isspace()


def _skip(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _canonical(key: str) -> str:
    """Return the key of a term; ``tags[…]`` stays only around the names of keys."""
    if key.startswith("tags[") and key.endswith("]"):
        name = key[5:-1]
        return f"tags[{name}]" if needs_brackets(name) else name
    return known_key(key) or key


def _written_key(term: Term) -> str:
    key = term.key
    if not key:
        return ""
    # "std::vector" is a text, so the tag "std" with the value ":vector" is written in brackets.
    is_text = str(term.values[0]).startswith(("//", ":"))
    if term.tag == key and (is_text or not _KEY.fullmatch(key)):
        return f"tags[{key if _NAME_OF_TAG.fullmatch(key) else _quoted(key)}]:"
    if term.tag is not None and not _NAME_OF_TAG.fullmatch(term.tag):
        return f"tags[{_quoted(term.tag)}]:"
    return f"{key}:"


def _value_of(key: str, text: str) -> Value:
    """Return a value that is this text, and nothing else."""
    needs_quotes = not text or not set(text).isdisjoint('"[],*!') or any(map(str.isspace, text))
    # "size:>5" compares the numbers of an attribute of logs.
    needs_quotes = needs_quotes or text[0] in "<>" or text.lower() in MEANINGS.get(key, ())
    if not key:
        needs_quotes = needs_quotes or ":" in text
    return Value(text, is_quoted=needs_quotes)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
