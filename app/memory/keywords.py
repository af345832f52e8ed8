"""The words of a text by which a memory is found exactly: ids, paths, names of errors, plain words.

    text ── chunks between spaces ── names in them (PAY-1042, app/pay.py:42, and pay.py) ── words

A memory stores its words as 64-bit hashes. Words that nearly every text has are left out.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from app.search.words import parts_of, plain, runs_of

# The words of a memory: names first, then words, in their order.
MAX_WORDS = 200
MAX_QUERY_WORDS = 50
MAX_NAME = 200


class QueryWords(NamedTuple):
    """The hashes of the words of a query, names first, and how many of them are names."""

    hashes: list[int]
    names: int


_COMMON = frozenset(
    "a about after all an and any are as at be been but by can could did do does for from had"
    " has have he her his how i if in into is it its me my no not of on or our she should so"
    " some that the their them then there they this to us was we were what when where which"
    " who why will with would you your".split()
)
# Punctuation around a name, and what separates the names within a chunk.
_AROUND = "\"'`´‘’“”«»,.;:!?()[]{}<>|*"
_WITHIN = re.compile(r"[/\\:=,;()\[\]{}<>\"'|&?!@#`]+")
_NAME = re.compile(r"[0-9]|[^\W_]_[^\W_]|[^\W_][-./\\:@#+~][^\W_]|[a-z][A-Z]|[A-Z]{2}[a-z]")


def words_of(text: str) -> tuple[list[str], list[str]]:
    """Return the names and the other words of a text, in lower case, each once.

    A name has a digit, punctuation inside or a change of case, as ids, paths and identifiers have.
    """
    names: dict[str, None] = {}
    words: dict[str, None] = {}
    for chunk in text.split():
        for found in _names(chunk):
            names.setdefault(found)
        for run in runs_of(chunk):
            words.setdefault(run[:MAX_NAME].casefold())
            words.update(dict.fromkeys(parts_of(run)))
    return list(names), [
        word for word in words if word not in names and word not in _COMMON and len(word) > 1
    ]


def packed_words(content: str, tags: Sequence[str]) -> bytes:
    """Return the hashes of the words of a memory, as it stores them: eight bytes for each."""
    names, words = words_of(" ".join((content, *tags)))
    hashes = [_hash(word) for word in [*names, *words][:MAX_WORDS]]
    return struct.pack(f"<{len(hashes)}Q", *hashes)


def query_words(text: str) -> QueryWords:
    """Return the hashes of the words of a query."""
    names, words = words_of(text)
    kept = [*names, *words][:MAX_QUERY_WORDS]
    return QueryWords([_hash(word) for word in kept], min(len(names), len(kept)))


def _names(chunk: str) -> Iterator[str]:
    chunk = plain(chunk.strip(_AROUND))
    if _NAME.search(chunk):
        yield chunk[:MAX_NAME].casefold()
        for part in _WITHIN.split(chunk):
            part = part.strip(_AROUND)
            if part != chunk and len(part) > 2 and _NAME.search(part):
                yield part[:MAX_NAME].casefold()


@lru_cache(maxsize=8192)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
