"""Reads the browser, the operating system and the device from a user agent, as Sentry contexts.

The rules and their engine come from `uap-core`, as in Sentry. They are loaded with the first user
agent. Loading takes some 0.2 s and 20 MB, and not every process needs them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# Browsers send shorter user agents, and the time to parse one grows with its length.
MAX_LENGTH = 500
# The visitors of a shop have some hundred user agents. Each entry takes about 2 KB.
_CACHED = 2048
_UNKNOWN = (None, "", "Other")


def read_user_agent(text: str) -> dict[str, dict[str, str]]:
    """Return the contexts ``browser``, ``os`` and ``device``, if they are known.

    :param text: the header; only its first :data:`MAX_LENGTH` characters are read.
    :return: ``browser`` and ``os`` with ``name`` and, if known, ``version``; ``device`` with
        ``family``, ``model`` and ``brand``. Do not change it: all callers share the result.
    """
    return _parsed(text[:MAX_LENGTH])


@lru_cache(maxsize=_CACHED)
def _parsed(text: str) -> dict[str, dict[str, str]]:
    if not text.strip():
        return {}
    import ua_parser  # Imported late, see the docstring of this module.

    result = ua_parser.parse(text)
    contexts = {
        "browser": _named(result.user_agent, "patch"),
        "os": _named(result.os, "patch"),
        "device": _device(result.device),
    }
    return {name: members for name, members in contexts.items() if members}


def _named(found: Any, last: str) -> dict[str, str]:
    if found is None or found.family in _UNKNOWN:
        return {}
    parts = []
    for part in (found.major, found.minor, getattr(found, last)):
        if not part:
            break
        parts.append(part)
    return {"name": found.family, **({"version": ".".join(parts)} if parts else {})}


def _device(found: Any) -> dict[str, str]:
    if found is None or found.family in _UNKNOWN:
        return {}
    members = {"family": found.family, "model": found.model, "brand": found.brand}
    return {name: text for name, text in members.items() if text}
