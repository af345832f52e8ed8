"""The errors that Sentry's own parser finds in an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sentry_relay.processing import StoreNormalizer

# The parser corrects times outside of these limits. The limits are so large that no clock causes an
# error, since a test with this parser is about the shape of an event.
_ANY_TIME = {"max_secs_in_past": 10**10, "max_secs_in_future": 10**10}


def errors_of(payload: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the errors that Sentry finds in an event: pairs of path and kind of error."""
    normalizer = StoreNormalizer(project_id=1, normalize_user_agent=True, **_ANY_TIME)
    taken = normalizer.normalize_event(payload)
    return set(_errors(taken.get("_meta") or {}, ""))


def _errors(meta: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(meta, dict):
        return
    for name, below in meta.items():
        if name == "":
            for error in (below or {}).get("err") or []:
                yield path, str(error[0] if isinstance(error, list) else error)
        else:
            yield from _errors(below, f"{path}.{name}")
