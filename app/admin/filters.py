"""Filters of the templates: times, sizes and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.alerts.rules.kind import KINDS
from app.events.values import shorten
from app.issues.ignore_until import IgnoreUntil, words_of
from app.issues.tables import IssueStatus
from app.protocol.client_clock import TOLERANCE
from app.stats.users import MAX_USERS
from app.store import utc_now

# Upper bound in seconds, length of the unit in seconds, name of the unit.
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (30 * 86400, 86400, "d"))
_KINDS = {
    "first_seen": "First seen",
    "commented": "Comment",
    "unignored": "No longer ignored",
}
# Source: https://develop.sentry.dev/sdk/foundations/state-management/scopes/attributes/ (Units),
# 2026-11-24. Any other unit is shown as it was sent.
_UNITS = {
    "nanosecond": "ns",
    "microsecond": "µs",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
    "byte": "B",
    "kilobyte": "kB",
    "kibibyte": "KiB",
    "megabyte": "MB",
    "mebibyte": "MiB",
    "gigabyte": "GB",
    "gibibyte": "GiB",
    "terabyte": "TB",
    "tebibyte": "TiB",
    "percent": "%",
    "ratio": "",
}
_SIZES = ("KiB", "MiB", "GiB", "TiB")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a time was, as ``3 min ago``; the date after 30 days."""
    seconds = ((now or utc_now()) - moment).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    for below, unit, name in _STEPS:
        if abs(seconds) < below:
            text = f"{int(abs(seconds)) // unit} {name}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return f"{moment.day} {moment:%b} {moment.year}"


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return how old something is, as ``4 d old`` or ``5 months old``."""
    seconds = max(((now or utc_now()) - moment).total_seconds(), 1)
    for below, unit, name in (*_STEPS, (365 * 86400, 30 * 86400, "months")):
        if seconds < below:
            return f"{int(seconds) // unit} {name} old".replace("1 months", "1 month", 1)
    return f"{seconds / (365 * 86400):.1f} years old"


def absolute(moment: datetime) -> str:
    """Return a time as ``2026-11-23 09:05:07 UTC``."""
    return f"{_utc(moment).isoformat(' ', 'seconds')[:19]} UTC"


def came_late(row: Any) -> bool:
    """Return whether an event arrived so late that both of its times have to be shown."""
    return bool(row.received_at - row.timestamp > TOLERANCE)


def clock(moment: datetime) -> str:
    """Return the time of day to the millisecond."""
    return _utc(moment).strftime("%H:%M:%S.%f")[:-3]


def size(count: float | None) -> str:
    """Return bytes as ``1.4 MiB``."""
    if count is None:
        return "unknown"
    if abs(count) < 1024:
        return f"{count:.0f} B"
    for unit in _SIZES:
        count /= 1024
        if abs(count) < 1024 or unit == _SIZES[-1]:
            break
    return f"{count:.1f} {unit}" if abs(count) < 10 else f"{count:,.0f} {unit}"


def number(value: float) -> str:
    """Return a number with separators between thousands."""
    return f"{value:,}"


def short(value: int) -> str:
    """Return a count in at most four characters, as ``999``, ``1.2k`` or ``34M``."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= unit:
            text = f"{value / unit:.1f}" if abs(value) < 10 * unit else f"{value // unit:,}"
            return f"{text.removesuffix('.0')}{name}"
    return f"{value}"


def duration(seconds: float) -> str:
    """Return seconds as ``3 d 4 h``, ``4 min 10 s`` or ``12 s``."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, unit)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def milliseconds(value: float) -> str:
    """Return milliseconds as ``0.42 ms``, ``31 ms`` or ``2.1 s``."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def quantity(value: float | None, unit: str = "") -> str:
    """Return a value in four digits with the symbol of its unit, as ``187.3 ms`` or ``1,204``."""
    if value is None:
        return "unknown"
    if unit == "byte" and 1024 <= abs(value) < 1e15:
        return size(value)
    if value and not 1e-3 <= abs(value) < 1e15:
        text = f"{value:.3g}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    sign = _UNITS.get(unit, unit)
    return text + sign if sign == "%" else f"{text} {sign}".rstrip()


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun, as ``1 event`` or ``2,000 events``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """Return a message as a sentence: with a capital letter and a period."""
    text = str(text)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def percent(share: float) -> str:
    """Return a share of 1 as ``37%``; ``<1%`` for a share that would round to 0%."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def crash_free(share: float) -> str:
    """Return a share of 1 as ``99.43%``; rounded down, so that 100% means all."""
    return f"{math.floor(share * 10_000) / 100:.2f}%"


def points(change: float) -> str:
    """Return a change of a share in percentage points, as ``+0.31``."""
    text = f"{change * 100:+.2f}"
    return "±0.00" if text in ("+0.00", "-0.00") else text.replace("-", "\N{MINUS SIGN}")


def users(count: int) -> str:
    """Return a count of users as ``1,204``; ``10,000+`` at the limit of the count."""
    return f"{count:,}" if count < MAX_USERS else f"{MAX_USERS:,}+"


def kind_of_transition(kind: str) -> str:
    """Return the label of a transition of an issue."""
    return _KINDS.get(kind) or kind.capitalize()


def ignored_until(issue: Any, now: datetime | None = None) -> str:
    """Return until when an issue is ignored, as ``until 14:00``; empty if that does not end."""
    if issue.ignore_until is None or issue.status != IssueStatus.IGNORED:
        return ""
    return words_of(IgnoreUntil.model_validate_json(issue.ignore_until), now or utc_now())


def alert_kind(kind: str) -> str:
    """Return the label of the kind of a notification or a rule."""
    return KINDS[kind].label if kind in KINDS else kind.capitalize()


def in_common(shared: list[str]) -> str:
    """Return what two issues have in common as ``same function, type and message``."""
    same = [name for name in shared if name != "words"]
    text = " and ".join(filter(None, [", ".join(same[:-1]), *same[-1:]]))
    parts = [f"same {text}" if text else "", "some of the words" if "words" in shared else ""]
    return ", ".join(filter(None, parts))


def short_release(release: str) -> str:
    """Return a release as lists show it: a commit's first twelve digits, else the whole name."""
    is_commit = len(release) == 40 and all(digit in "0123456789abcdef" for digit in release)
    return release[:12] if is_commit else release


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo not in (None, UTC) else moment


FILTERS: dict[str, Callable[..., Any]] = {
    "sentence": sentence,
    "ago": ago,
    "absolute": absolute,
    "came_late": came_late,
    "clock": clock,
    "size": size,
    "number": number,
    "duration": duration,
    "milliseconds": milliseconds,
    "plural": plural,
    "percent": percent,
    "quantity": quantity,
    "crash_free": crash_free,
    "points": points,
    "users": users,
    "shorten": shorten,
    "kind_of_transition": kind_of_transition,
    "ignored_until": ignored_until,
    "alert_kind": alert_kind,
    "in_common": in_common,
    "short_release": short_release,
}
