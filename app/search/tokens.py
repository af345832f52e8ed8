"""The tokens of the two indexes, one kind for each question that a query may ask.

A token is a letter for its kind, and ASCII letters and digits. What a prefix has to find stands in
a token as it is (:func:`~app.search.words.encode`); names of keys and first words are hashed.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from app.search.words import CUT, MAX_WORD, encode, fold, parts_of, runs_of

# Every event has this token: a query that only excludes events begins with it.
ANY = "x"
# How many characters of a value stand in its token; a hash of the whole value follows.
MAX_VALUE = 100


class Field(NamedTuple):
    """Where words stand, by the letters of the kinds of their tokens.

    :param word: of a single word. :param pair: of two words, one directly after the other.
    """

    word: str
    pair: str


ANYWHERE = Field("w", "p")
MESSAGE = Field("m", "n")
ERROR_VALUE = Field("v", "u")
FIELDS = {"": ANYWHERE, "message": MESSAGE, "error.value": ERROR_VALUE}


def word(field: Field, text: str) -> str:
    """Return the token of a folded word in a field."""
    return field.word + encode(text)


def pair(field: Field, first: str, second: str) -> str:
    """Return the token of two folded words that follow each other."""
    return f"{field.pair}{short_hash(first)}{encode(second)}"


def equal(key: str, value: str) -> str:
    """Return the token of the value of a key, with case and accents aside."""
    return start_of(key) + value_code(value)


def value_code(value: str) -> str:
    """Return what the token of a value has after the key."""
    folded = fold(value)
    if folded.isalnum() and folded.isascii() and len(folded) < MAX_VALUE - 6 and "z" not in folded:
        return folded  # As `encode` would.
    code = encode(folded, MAX_VALUE)
    if len(code) < MAX_VALUE - 6 and len(folded) <= MAX_VALUE:
        return code
    return f"{code}{CUT}{short_hash(folded, 13)}"


def beginning(key: str, value: str) -> str:
    """Return the beginning of the tokens of a key whose values begin with a text."""
    return start_of(key) + encode(fold(value), MAX_VALUE)


def has(key: str) -> str:
    """Return the token of events that have a value for a key."""
    return f"h{short_hash(fold(key))}"


def start_of(key: str) -> str:
    """Return what the tokens of all values of a key begin with."""
    return f"k{short_hash(fold(key))}"


def of_grouping(grouping_id: int) -> str:
    """Return the token of events that a grouping assigned to its issue."""
    return f"g{grouping_id}"


def of_texts(field: Field, text: str) -> tuple[str, ...]:
    """Return the tokens of a text in a field: words, parts of camelCase, and pairs of words."""
    # Names of functions, modules and files come again with nearly every event.
    return _remembered(field, text) if len(text) <= 120 else tuple(words_and_pairs(field, text))


@lru_cache(maxsize=8192)
def _remembered(field: Field, text: str) -> tuple[str, ...]:
    return tuple(words_and_pairs(field, text))


def words_and_pairs(field: Field, text: str) -> Iterator[str]:
    """Yield what :func:`of_texts` returns, for texts that hardly ever come again."""
    before = ""
    for run in runs_of(text):
        now = run[:MAX_WORD].casefold()
        yield word(field, now)
        for part in parts_of(run):
            yield word(field, part)
        if before:
            yield pair(field, before, now)
        before = now


@lru_cache(maxsize=8192)
def short_hash(text: str, length: int = 6) -> str:
    """Return a hash of a text, in lower-case letters and digits."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=10).digest()
    return b32encode(digest).decode().lower()[:length]


def trigrams(token: str) -> set[str]:
    """Return a token for each three neighbouring letters of a token's text."""
    return {f"t{token[at : at + 3]}" for at in range(len(token) - 2)}
