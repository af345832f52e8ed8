"""Lenient readers for JSON from clients: they return the expected type or nothing, never an error.

A partly invalid event is still worth keeping. So a field of a wrong type is read as absent and does
not fail its event.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/ and the aliases that Relay still
reads for raven's clients (https://github.com/getsentry/relay), 2026-11-24.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Literal, get_args

Level = Literal["fatal", "error", "warning", "info", "debug"]
LEVELS: tuple[Level, ...] = get_args(Level)
# The names of levels in raven, JavaScript and syslog.
_LEVEL_ALIASES = {
    "critical": "fatal",
    "crit": "fatal",
    "emergency": "fatal",
    "emerg": "fatal",
    "alert": "fatal",
    "panic": "fatal",
    "err": "error",
    "severe": "error",
    "warn": "warning",
    "log": "info",
    "notice": "info",
    "information": "info",
    "trace": "debug",
    "verbose": "debug",
}
_HEX = re.compile("[0-9a-f]+")
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
# PostgreSQL refuses NUL in text, and UTF-8 cannot encode a lone surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMERIC = re.compile(r"-?\d{1,18}(?:\.\d{0,18})?")
# Seconds up to the year 5138. A larger number is a count of milliseconds, microseconds or
# nanoseconds.
_LARGEST_SECONDS = 1e11
# Python refuses to print integers of more than 4300 digits, and no field needs such numbers.
_LARGEST_INT = 10**40


def clean_text(value: str) -> str:
    """Return the text in a form that a database can store: without NUL and lone surrogates."""
    # Nearly every text is plain ASCII, and the search of the expression costs three times as much.
    if value.isascii() and "\x00" not in value:
        return value
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def parse_event_id(value: object) -> str | None:
    """Return an event id of 32 lower-case hex digits, or ``None`` if the value is not valid.

    :param value: with or without dashes, in any case, also as ``{…}`` or ``urn:uuid:…``. An id of
        zeros is not valid: clients send it for every event without an id.
    """
    text = value.strip().lower().removeprefix("urn:uuid:") if isinstance(value, str) else ""
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.replace("-", "")
    return text if _EVENT_ID.fullmatch(text) and text.strip("0") else None


def read_hex(value: object, digits: int) -> str | None:
    """Return an id of lower-case hex digits, or ``None`` if it is not valid or all zeros.

    All ids of traces and spans are read here, so that what one item names is found in the others.

    :param value: in any case, with or without dashes: some clients send ``str(uuid4())``.
    :param digits: how many it has: 32 for a trace, 16 for a span.
    """
    if not isinstance(value, str) or len(value) > 2 * digits:
        return None
    text = value.lower()
    if len(text) != digits:
        text = text.replace("-", "")
    if len(text) != digits:
        return None
    return text if _HEX.fullmatch(text) and text.strip("0") else None


def read_level(value: object) -> str:
    """Return a level of :data:`LEVELS`; ``error`` for an unknown value.

    :param value: a name, or a level number of Python's logging (10 … 50), also as text.
    """
    name = value.strip().lower() if isinstance(value, str) else value
    if isinstance(name, str) and not _NUMERIC.fullmatch(name):
        name = _LEVEL_ALIASES.get(name, name)
        return name if name in LEVELS else "error"
    number = read_number(name)
    if number is None or number < 10:
        return "error"
    return ("debug", "info", "warning", "error", "fatal")[min(int(number) // 10, 5) - 1]


def read_timestamp(value: object) -> datetime | None:
    """Return a time in UTC, or ``None`` if the value is not a time.

    :param value: seconds since 1970 (or ms, µs, ns), or ISO 8601 / RFC 3339. A time without an
        offset is UTC, as in raven.
    """
    try:
        number = read_number(value)
        if number is not None:
            seconds = (number / unit for unit in (1, 10**3, 10**6, 10**9))
            plausible = next((s for s in seconds if abs(s) < _LARGEST_SECONDS), None)
            return None if plausible is None else datetime.fromtimestamp(plausible, UTC)
        read = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        return read and (read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        return None


def read_number(value: object) -> float | int | None:
    """Return a finite number, also from text, or ``None`` for anything else."""
    if isinstance(value, str):
        return float(value) if _NUMERIC.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST_INT < value < _LARGEST_INT else None


def read_int(value: object) -> int | None:
    """Return a whole number, also from text or a float, or ``None`` for anything else."""
    if type(value) is int and -_LARGEST_INT < value < _LARGEST_INT:
        return value
    number = read_number(value)
    return int(number) if number is not None and number == int(number) else None


def read_text(value: object) -> str | None:
    """Return non-empty text, also from a number, or ``None`` for anything else."""
    if isinstance(value, str):
        return clean_text(value) or None
    if value is None:
        return None
    return None if (number := read_number(value)) is None else str(number)


def read_name(value: object) -> str | None:
    """Return text without the spaces around it, or ``None`` if nothing is left."""
    text = read_text(value)
    return (text.strip() or None) if text else None


def read_anything(value: object) -> str | None:
    """Return text, or the JSON of an object or list: some clients send objects instead of text."""
    if not isinstance(value, dict | list):
        return str(value) if isinstance(value, bool) else read_text(value)
    try:
        return clean_text(json.dumps(value, ensure_ascii=False, default=str)) if value else None
    except (ValueError, RecursionError):
        return None


def read_dict(value: object) -> dict[str, Any]:
    """Return a dictionary; an empty dictionary for anything else."""
    return value if isinstance(value, dict) else {}


def read_list(value: object) -> list[Any]:
    """Return a list; an empty list for anything else."""
    return list(value) if isinstance(value, list | tuple) else []


def read_values(value: object) -> list[dict[str, Any]]:
    """Return the objects in ``{"values": […]}``, in a flat list, or a single object as a list."""
    if isinstance(value, dict):
        value = value.get("values", value)
    if isinstance(value, dict):
        value = [value]
    return [entry for entry in read_list(value) if isinstance(entry, dict)]


def read_pairs(value: object) -> dict[str, Any]:
    """Return a dictionary from an object or a list of pairs; the last pair of a name wins."""
    if isinstance(value, dict):
        return value
    return {
        str(read_text(entry[0])): entry[1]
        for entry in read_list(value)
        if isinstance(entry, list | tuple) and len(entry) == 2 and read_text(entry[0])
    }


def read_tags(value: object) -> dict[str, str]:
    """Return tags from an object or from pairs; values that are objects or lists are left out."""
    read = {
        clean_text(str(name)): "" if tag == "" else read_anything(tag)
        for name, tag in read_pairs(value).items()
        if not isinstance(tag, dict | list)
    }
    return {name: tag for name, tag in read.items() if tag is not None}


def search_text(given: str | None) -> str | None:
    """Return the text of a search without the spaces around it, or ``None`` if it is empty."""
    return clean_text(given or "").strip() or None
