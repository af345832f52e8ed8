"""The keys of a query, and what their values may be. Any other key is the name of a tag."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from difflib import get_close_matches

from app.inputs.period import read_moment
from app.protocol.lenient import LEVELS

# These look at the issue, all others at its events.
ISSUE_KEYS = ("is", "assigned", "timesSeen", "users", "firstSeen", "lastSeen")
EVENT_KEYS = (
    *("level", "release", "environment", "transaction", "platform", "project"),
    *("user.id", "user.email", "user.username", "user.ip"),
    *("error.type", "error.value", "stack.function", "stack.module", "stack.filename"),
    *("message", "url", "trace", "sdk.name", "has"),
)
KEYS = (*ISSUE_KEYS, *EVENT_KEYS)
# Facts of lines of logs that no key looks for. A tag of such a name is written in brackets.
LINE_FIELDS = ("timestamp", "time", "body", "severity", "trace_id", "span_id", "project_id")
# A query may have several terms of these keys; a new term of another key replaces the old one.
REPEATED = ("", "is", "has")
# Values that stand for something else, unless they are in quotes.
MEANINGS = {
    "release": ("latest",),
    "assigned": ("me", "none", "nobody"),
    "": ("or", "and", "not"),  # For logs, they are a mistake.
}
NUMBERS = ("timesSeen", "users")
TIMES = ("firstSeen", "lastSeen")
STATES = ("unresolved", "resolved", "ignored", "regressed", "assigned", "unassigned", "new")

_BY_LOWER = {key.lower(): key for key in KEYS} | {
    # The names of the same values in the API.
    "times_seen": "timesSeen",
    "first_seen": "firstSeen",
    "last_seen": "lastSeen",
}
# What other services call the states.
_OTHER_STATES = {"open": "unresolved", "closed": "resolved", "muted": "ignored"} | {
    "archived": "ignored",
    "unhandled": "unresolved",
}
_MAX_NUMBER = 2**31
_NUMBER = re.compile(r"[0-9]{1,10}")
_SPAN = re.compile(r"([+-])([0-9]{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def known_key(name: str) -> str | None:
    """Return a key as this service writes it, in any case; ``None`` for the name of a tag."""
    return _BY_LOWER.get(name.lower())


def needs_brackets(name: str) -> bool:
    """Return whether a query writes the name of a tag in brackets, since it has a meaning."""
    is_tag = name.startswith("tags[") and name.endswith("]")
    return is_tag or known_key(name) is not None or name.lower() in LINE_FIELDS


def closest_key(name: str) -> str | None:
    """Return the key that a name was probably meant to be, if it looks like a typo."""
    found = get_close_matches(name.lower(), _BY_LOWER, n=1, cutoff=0.8)
    return _BY_LOWER[found[0]] if found else None


def span_of(text: str) -> timedelta | None:
    """Return the length of ``-24h`` or ``+7d``; units are m, h, d, w. ``None`` for other texts."""
    found = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[found[3]]: int(found[2])}) if found else None


def moments_of(text: str) -> tuple[datetime, datetime] | None:
    """Return the first moment of a date or time, and the first moment after it.

    :param text: ``2026-11-20`` is a day; a time is a second. UTC if it has no time zone.
    """
    start = read_moment(text)
    if start is None:
        return None
    return start, start + (timedelta(days=1) if _DAY.fullmatch(text) else timedelta(seconds=1))


def problem_of(key: str, operator: str, text: str) -> str | None:
    """Return what is wrong with a value, ``None`` if it is right.

    :param operator: one of ``= > >= < <=``.
    """
    check = _CHECKS.get(key)
    return check(operator, text) if check else None


def _of_state(_: str, text: str) -> str | None:
    return _of_choice("is", text, STATES, _OTHER_STATES.get(text.lower()))


def _of_level(_: str, text: str) -> str | None:
    return _of_choice("level", text, LEVELS)


def _of_choice(
    key: str, text: str, choices: tuple[str, ...], meant: str | None = None
) -> str | None:
    if text in choices:
        return None
    close = [meant] if meant else get_close_matches(text.lower(), choices, n=1, cutoff=0.5)
    if close:
        return f"there is no {key}:{text[:40]}. Did you mean {key}:{close[0]}?"
    return f"there is no {key}:{text[:40]}, only {', '.join(choices)}"


def _of_number(_: str, text: str) -> str | None:
    if _NUMBER.fullmatch(text) and int(text) < _MAX_NUMBER:
        return None
    return f"a number is expected instead of “{text[:40]}”, as in >100"


def _of_time(operator: str, text: str) -> str | None:
    if operator == "=" and span_of(text) is not None:
        return None
    if moments_of(text) is not None:
        return None
    return f"a time is expected instead of “{text[:40]}”, as in -24h or >2026-11-20"


_CHECKS: dict[str, Callable[[str, str], str | None]] = {
    "is": _of_state,
    "level": _of_level,
    **dict.fromkeys(NUMBERS, _of_number),
    **dict.fromkeys(TIMES, _of_time),
}
