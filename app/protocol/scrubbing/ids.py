"""Names of ids, whose digits are no secret."""

from __future__ import annotations

import re
from typing import Any

# 16 hex digits are all decimal in one span id of 1,800, and one in ten of those passes Luhn.
ID_KEYS = frozenset(
    "event_id trace_id span_id parent_span_id segment_id profile_id profiler_id replay_id"
    " check_in_id monitor_id sid did".split()
)
# Of these, what Sentry refuses an event for when it is no id: never the copy of a secret.
_SENTRY_IDS = ID_KEYS - {"monitor_id", "sid", "did"}
_HEX = re.compile(r"[0-9a-fA-F-]{16,36}")


def is_sentry_id(key: Any, value: Any) -> bool:
    """Tell whether Sentry needs this as it is."""
    return key in _SENTRY_IDS and isinstance(value, str) and bool(_HEX.fullmatch(value))
