"""Rate limits as Sentry states them: which kinds of data have to wait, and until when.

Source: https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-24.
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

# The category of a limit that names none: it holds everything.
EVERYTHING = ""
# An answer that asks for more is obeyed for this long, and then asked again: a wrong clock or a
# typing error there must not stop delivery for a year here.
MAX_LIMIT = timedelta(days=1)
# What the specification has an SDK wait after a 429 that does not say how long.
DEFAULT_LIMIT = timedelta(seconds=60)

# Far beyond any limit that is meant, and no date overflows by it.
_LONGEST_S = 10 * 366 * 86_400.0

# What an item counts as. What is not listed counts as its own type.
_CATEGORIES: dict[str, tuple[str, ...]] = {
    "event": ("error", "default"),
    "transaction": ("transaction",),
    "span": ("span",),
    "attachment": ("attachment",),
    "session": ("session",),
    "sessions": ("session",),
    "check_in": ("monitor",),
    "client_report": ("internal",),
    "profile": ("profile",),
    "profile_chunk": ("profile_chunk", "profile_chunk_ui"),
    "replay_event": ("replay",),
    "replay_recording": ("replay",),
    "replay_video": ("replay",),
    "feedback": ("feedback",),
    "user_report": ("feedback", "user_report_v2"),
    "log": ("log_item", "log_byte"),
    "trace_metric": ("trace_metric",),
    "statsd": ("metric_bucket",),
    "metric_buckets": ("metric_bucket",),
    "security": ("security",),
}


def categories_of(item_type: str) -> tuple[str, ...]:
    """Return the categories that limit an item; the first is the one it is counted under."""
    return _CATEGORIES.get(item_type, (item_type,))


def limited_types(limits: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """Return the item types that have to wait; types that no table knows are not among them.

    :param limits: category to the end of its limit.
    """
    held = {category for category, until in limits.items() if until > now}
    known = {name for name, categories in _CATEGORIES.items() if held.intersection(categories)}
    return frozenset(known | (held - {EVERYTHING}))


def parse_rate_limits(header: str, now: datetime) -> dict[str, datetime]:
    """Read ``X-Sentry-Rate-Limits``: ``seconds:category;category:scope:reason, …``.

    :return: category to the end of its limit; :data:`EVERYTHING` for a limit that names none.
    """
    limits: dict[str, datetime] = {}
    for entry in header.split(","):
        seconds, *rest = (part.strip() for part in entry.split(":"))
        until = _after(seconds, now)
        if until is None or not entry.strip():
            continue
        named = [name.strip() for name in rest[0].split(";")] if rest and rest[0] else [EVERYTHING]
        for category in named:
            limits[category] = max(until, limits.get(category, until))
    return limits


def parse_retry_after(value: str, now: datetime) -> datetime | None:
    """Read ``Retry-After``, in seconds or as an HTTP date; ``None`` when it is neither.

    Source: RFC 9110, section 10.2.3.
    """
    return _after(value, now) or parse_http_date(value)


def parse_http_date(value: str) -> datetime | None:
    """Read an HTTP date, ``None`` when it is none."""
    try:
        read = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def merged(
    old: Mapping[str, datetime], new: Mapping[str, datetime], now: datetime
) -> dict[str, datetime]:
    """Return both, each category with its later end but for :data:`MAX_LIMIT`, without the past."""
    ends = {
        category: max(limits[category] for limits in (old, new) if category in limits)
        for category in {*old, *new}
    }
    return {
        category: min(until, now + MAX_LIMIT)
        for category, until in sorted(ends.items())
        if until > now
    }


def longest(limits: Mapping[str, datetime], item_types: Iterable[str]) -> datetime | None:
    """Return when the last of the limits that hold these items ends."""
    names = {EVERYTHING, *(name for kind in item_types for name in categories_of(kind))}
    return max((limits[name] for name in names if name in limits), default=None)


def _after(text: str, now: datetime) -> datetime | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return now + timedelta(seconds=min(seconds, _LONGEST_S))
