"""Names of ids; the digits of an id are not a secret."""

from __future__ import annotations

import re
from typing import Any

# In one of 1,800 span ids, all 16 hex digits are decimal, and one in ten of those passes Luhn.
ID_KEYS = frozenset(
    "event_id trace_id span_id parent_span_id segment_id profile_id profiler_id replay_id"
    " check_in_id monitor_id sid did".split()
)
# Sentry refuses an event if one of these is not a valid id, so they are never treated as the copy
# of a secret.
_SENTRY_IDS = ID_KEYS - {"monitor_id", "sid", "did"}
_HEX = re.compile(r"[0-9a-fA-F-]{16,36}")


def is_sentry_id(key: Any, value: Any) -> bool:
    """Return whether this is an id that Sentry needs unchanged."""
    return key in _SENTRY_IDS and isinstance(value, str) and bool(_HEX.fullmatch(value))
