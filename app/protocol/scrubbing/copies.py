"""Copies of secrets: what to look for wherever else it stands in an event, without a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.protocol.scrubbing.spans import FILTERED

# Copies are searched for so many secrets of an event, of 8 to so many characters.
_MAX_COPIES = 32

_MAX_COPY = 4096
_SCHEME = re.compile(r"(?:bearer|basic|token)\s+", re.I)
# In a Cookie header, where short values are user ids and the like.
_PART = re.compile(r"[^\s=;,&:'\"]{16,}")
_RANDOM = re.compile(
    r"(?=.{8})(?!0x|[0-9]{4}-[0-9]{2}-[0-9]{2}|\[Filtered)(?:(?=[^a-zA-Z]{0,256}+[a-zA-Z])(?=[^0-9]{0,256}+[0-9]).*"
    r"|(?=.{16})(?=[\w.]{0,256}+[^\w.]).*)",
    re.S,
)


def copyable(values: Iterable[str]) -> list[str]:
    """The secrets worth a search: the values, and what stands behind ``Bearer`` or ``sid=``.

    Long enough and mixed: a letter and a digit, or 16 characters with punctuation. Reprs, module
    paths, dates and plain words would shred the event.
    """
    found: set[str] = set()
    for value in values:
        bare = _SCHEME.sub("", value.strip("'\" "))
        if len(bare) <= _MAX_COPY and not bare.startswith("<"):
            found.update(part for part in (bare, *_PART.findall(bare)) if _RANDOM.fullmatch(part))
    return sorted(found, key=lambda part: (-len(part), part))[:_MAX_COPIES]


def without(text: str, secrets: list[str]) -> str:
    """Return a text with these secrets taken out."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, FILTERED)
    return text
