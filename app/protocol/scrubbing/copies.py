"""Copies of secrets: the values to search for in the rest of an event, where they have no name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.protocol.scrubbing.spans import FILTERED

# Copies are searched for at most this many secrets of an event. A secret has 8 to _MAX_COPY
# characters.
_MAX_COPIES = 32

_MAX_COPY = 4096
_SCHEME = re.compile(r"(?:bearer|basic|token)\s+", re.I)
# The values in a Cookie header. Short values are user ids and similar.
_PART = re.compile(r"[^\s=;,&:'\"]{16,}")
_RANDOM = re.compile(
    r"(?=.{8})(?!0x|[0-9]{4}-[0-9]{2}-[0-9]{2}|\[Filtered)(?:(?=[^a-zA-Z]{0,256}+[a-zA-Z])(?=[^0-9]{0,256}+[0-9]).*"
    r"|(?=.{16})(?=[\w.]{0,256}+[^\w.]).*)",
    re.S,
)


def copyable(values: Iterable[str]) -> list[str]:
    """Return the secrets to search for: the values, and the parts after ``Bearer`` or ``sid=``.

    They must be long enough and mixed: a letter and a digit, or 16 characters with punctuation. A
    search for reprs, module paths, dates and plain words would make the event unreadable.
    """
    found: set[str] = set()
    for value in values:
        bare = _SCHEME.sub("", value.strip("'\" "))
        if len(bare) <= _MAX_COPY and not bare.startswith("<"):
            found.update(part for part in (bare, *_PART.findall(bare)) if _RANDOM.fullmatch(part))
    return sorted(found, key=lambda part: (-len(part), part))[:_MAX_COPIES]


def without(text: str, secrets: list[str]) -> str:
    """Return a text without these secrets."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, FILTERED)
    return text
