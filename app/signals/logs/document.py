"""The tokens of lines, by which a search finds them, as it finds events.

    line ── tokens_of ────── what decides: equality of values, words and pairs of words
    lines ── block_tokens ── what blocks know: the same, but for the field of a word, and beginnings

What SDKs say about themselves (``sentry.…``) is found by its key, but not by words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from app.protocol.envelope import dump_json
from app.search.document import tag_key
from app.search.keys import EVENT_KEYS
from app.search.tokens import (
    ANY,
    ANYWHERE,
    MESSAGE,
    equal,
    has,
    start_of,
    value_code,
    words_and_pairs,
)
from app.search.words import MAX_WORD, encode, parts_of, runs_of
from app.signals.logs.line import Line, Scalar

# The names of attributes for the keys of a query.
ALIASES = {
    "sentry.sdk.name": "sdk.name",
    "user.name": "user.username",
    "client.address": "user.ip",
    "url.full": "url",
}
_OF_SDK = "sentry."
# Of a text; a line of more words is found by the first of them.
MAX_TOKENS = 1000
# Lengths of beginnings of words and values that blocks know, without the kind of token.
BEGINNINGS = (3, 5)
# Kinds of tokens, and how long what stands before their text is.
_STARTS = {ANYWHERE.word: 1, "k": 7}
_TRACE, _HAS_TRACE = start_of("trace"), has("trace")


def tokens_of(line: Line) -> set[str]:
    """Return all tokens of a line."""
    found = {*_of_known(line.project_id, line.level, line.release, line.environment)}
    found.update(_of_trace(line.trace_id))
    for name, value in line.attributes.items():
        found.update(_of_values(name, text_of(value)))
        found.update(words_and_pairs(ANYWHERE, _searched(name, value)))
    if line.body:
        found.add(has("message"))
        for field in (ANYWHERE, MESSAGE):
            found.update(words_and_pairs(field, line.body))
    return found


def block_tokens(lines: Iterable[Line]) -> set[str]:
    """Return what a block knows of lines."""
    facts: set[tuple[int, str, str | None, str | None]] = set()
    pairs: set[tuple[str, str]] = set()
    tokens: set[str] = set()
    texts: set[str] = set()
    for line in lines:
        facts.add((line.project_id, line.level, line.release, line.environment))
        pairs.update(
            (name, value if isinstance(value, str) else text_of(value))
            for name, value in line.attributes.items()
        )
        tokens.update(_of_trace(line.trace_id))
        texts.add(line.body)
    tokens.add(has("message"))
    for fact in facts:
        tokens.update(_of_known(*fact))
    for name, text in pairs:
        tokens.update(_of_values(name, text))
        if not name.startswith(_OF_SDK):
            texts.add(text)
    for text in texts:
        tokens.update(_of_text(text))
    return tokens | _beginnings(tokens)


def known_beginning(token: str) -> str | None:
    """Return what a block knows of tokens with a beginning; ``None`` if it is too short."""
    start = _STARTS.get(token[0], len(token))
    lengths = [length for length in BEGINNINGS if len(token) >= start + length]
    return f"b{token[: start + max(lengths)]}" if lengths else None


def known_pair(first: str, second: str) -> str:
    """Return what a block knows of two words that follow each other, both folded."""
    return f"p{first} {second}"


def text_of(value: Scalar) -> str:
    """Return the value of an attribute as a query has it: a text, or as its row has it."""
    return value if isinstance(value, str) else dump_json(value).decode()


def _beginnings(tokens: set[str]) -> set[str]:
    found: set[str] = set()
    for kind, start in _STARTS.items():
        own = [token for token in tokens if token[0] == kind]
        for length in BEGINNINGS:
            end = start + length
            found.update([f"b{token[:end]}" for token in own if len(token) >= end])
    return found


def _of_text(text: str) -> list[str]:
    """Return words and pairs of words; the same words as :func:`words_and_pairs`."""
    runs = runs_of(text)[:MAX_TOKENS]
    words = [run[:MAX_WORD].casefold() for run in runs]
    if "z" in text.lower() or not text.isascii():
        found = [ANYWHERE.word + encode(one) for one in words]
    else:
        found = [f"w{one}" for one in words]  # As `encode` would.
    found += [f"p{first} {second}" for first, second in pairwise(words)]
    if not text.islower():
        for run in runs:
            if not (run.islower() or run.isdigit()):
                found += [ANYWHERE.word + encode(part) for part in parts_of(run)]
    return found


def _of_trace(trace_id: str | None) -> tuple[str, ...]:
    # The token of equality is its beginning and the id, which has digits and letters up to f.
    return () if trace_id is None else (f"{_TRACE}{trace_id}", _HAS_TRACE)


def _searched(name: str, value: Scalar) -> str:
    """Return the text of an attribute whose words are searched; empty without any."""
    return "" if name.startswith(_OF_SDK) else text_of(value)


@lru_cache(maxsize=1024)
def _of_known(
    project_id: int, level: str, release: str | None, environment: str | None
) -> tuple[str, ...]:
    values = {"level": level, "release": release, "environment": environment}
    found = [ANY, equal("project", str(project_id))]
    for key, value in values.items():
        if value is not None:
            found += [
                equal(key, value),
                has(key),
                *words_and_pairs(ANYWHERE, value),
                *_of_text(value),
            ]
    return tuple(found)


def _of_values(name: str, text: str) -> tuple[str, ...]:
    """Return the tokens of the value of an attribute, and of its presence."""
    starts, of_keys = _of_name(name)
    code = value_code(text)
    return (*of_keys, *[start + code for start in starts])


@lru_cache(maxsize=4096)
def _of_name(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    known = ALIASES.get(name, name)
    keys = (tag_key(name), *((known,) if known in EVENT_KEYS else ()))
    user = (has("user"),) if known.startswith("user.") else ()
    return tuple(map(start_of, keys)), (*(has(key) for key in keys), *user)
