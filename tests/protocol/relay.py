"""The errors that Sentry's own parser finds in an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sentry_relay.processing import StoreNormalizer

_NORMALIZER = StoreNormalizer(project_id=1, is_renormalize=False, enable_trimming=False)


def errors_of(event: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the errors as pairs: the path of a value that Sentry discards, and the reason."""
    return set(_errors(_NORMALIZER.normalize_event(event).get("_meta"), ""))


def _errors(meta: Any, path: str) -> Iterator[tuple[str, str]]:
    for name, member in meta.items() if isinstance(meta, dict) else ():
        if name:
            yield from _errors(member, f"{path}.{name}")
        else:
            for error in member.get("err") or ():
                yield path, error if isinstance(error, str) else error[0]
