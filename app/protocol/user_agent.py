"""Browser, system and device of a user agent, in the shapes of Sentry's contexts.

The rules and their engine are those of `uap-core`, which Sentry reads user agents by, too. They are
loaded with the first user agent, which takes some 0.2 s and 20 MB that not every process needs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# What browsers send is shorter; the time it takes grows with the length.
MAX_LENGTH = 500
# A shop's visitors have some hundred of them. Each entry takes about 2 KB.
_CACHED = 2048
_UNKNOWN = (None, "", "Other")


def read_user_agent(text: str) -> dict[str, dict[str, str]]:
    """Return the contexts ``browser``, ``os`` and ``device`` as far as they are known.

    :param text: the header, of which the first :data:`MAX_LENGTH` characters count.
    :return: ``browser`` and ``os`` with ``name`` and, where it is known, ``version``; ``device``
        with ``family``, ``model`` and ``brand``. Not to be changed: others get the same.
    """
    return _parsed(text[:MAX_LENGTH])


@lru_cache(maxsize=_CACHED)
def _parsed(text: str) -> dict[str, dict[str, str]]:
    if not text.strip():
        return {}
    import ua_parser  # See above.

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
