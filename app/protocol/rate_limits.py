"""Sentry's rate limits: which categories of data have to wait, and until when.

Source: https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-24.
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

# The category of a limit without a category: it limits all items.
EVERYTHING = ""
# A longer limit is followed only for this time; then Sentry is asked again. A wrong clock or a
# typing error at Sentry must not stop the delivery for a year.
MAX_LIMIT = timedelta(days=1)
# By the specification, an SDK waits this long after a 429 without a time.
DEFAULT_LIMIT = timedelta(seconds=60)

# Far longer than any real limit, and short enough that adding it to a date does not overflow.
_LONGEST_S = 10 * 366 * 86_400.0

# The categories of each item type. A type that is not listed is its own category.
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
    """Return the categories that limit an item; the item is counted under the first category."""
    return _CATEGORIES.get(item_type, (item_type,))


def limited_types(limits: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """Return the item types that have to wait because of the limits of their categories.

    A limit without a category (:data:`EVERYTHING`) adds no type.

    :param limits: category to the end of its limit.
    """
    held = {category for category, until in limits.items() if until > now}
    known = {name for name, categories in _CATEGORIES.items() if held.intersection(categories)}
    return frozenset(known | (held - {EVERYTHING}))


def parse_rate_limits(header: str, now: datetime) -> dict[str, datetime]:
    """Return the limits in ``X-Sentry-Rate-Limits``: ``seconds:category;category:scope:reason, …``.

    :return: category to the end of its limit; :data:`EVERYTHING` for a limit without a category.
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
    """Return the time in ``Retry-After``, from seconds or an HTTP date; ``None`` if it is neither.

    Source: RFC 9110, section 10.2.3.
    """
    return _after(value, now) or parse_http_date(value)


def parse_http_date(value: str) -> datetime | None:
    """Return the time of an HTTP date, or ``None`` if it is not valid."""
    try:
        read = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def merged(
    old: Mapping[str, datetime], new: Mapping[str, datetime], now: datetime
) -> dict[str, datetime]:
    """Return the limits of both that have not ended, each with its later end.

    No limit ends later than :data:`MAX_LIMIT` from now.
    """
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
    """Return when the last limit of these items ends, or ``None`` if no limit applies."""
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
