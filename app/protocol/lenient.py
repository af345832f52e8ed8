"""Reading JSON that some client wrote: the expected type, or nothing; never an error.

An error report that is partly strange is still worth keeping, so a field of a wrong type reads as
absent rather than failing its event.

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
# What raven, JavaScript and syslog call the same things.
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
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
# PostgreSQL refuses NUL in text, and no UTF-8 can write half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMERIC = re.compile(r"-?\d{1,18}(?:\.\d{0,18})?")
# Seconds up to the year 5138; a larger number counts thousandths, millionths or billionths of one.
_LARGEST_SECONDS = 1e11
# Python refuses to print integers of more than 4300 digits, and no field holds such a one.
_LARGEST_INT = 10**40


def clean_text(value: str) -> str:
    """Return the text as a database can keep it: without NUL, without halves of surrogates."""
    # Nearly every text is plain ASCII, and the search for what is not costs three times as much.
    if value.isascii() and "\x00" not in value:
        return value
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def parse_event_id(value: object) -> str | None:
    """Return 32 lower-case hex digits, ``None`` when the value is no event id.

    :param value: with or without dashes, in any case, also as ``{…}`` or ``urn:uuid:…``. One of
        zeros is none: clients send it for every event that they have no id for.
    """
    text = value.strip().lower().removeprefix("urn:uuid:") if isinstance(value, str) else ""
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.replace("-", "")
    return text if _EVENT_ID.fullmatch(text) and text.strip("0") else None


def read_level(value: object) -> str:
    """Return one of :data:`LEVELS`; ``error`` for what is none.

    :param value: a name, or a number of Python's logging (10 … 50), also as text.
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
    """Return the moment in UTC, ``None`` for what names none.

    :param value: seconds since 1970 (or the same in ms, µs, ns), or ISO 8601 / RFC 3339; without
        an offset it is UTC, as raven means it.
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
    """Return a finite number, also from text; ``None`` for anything else."""
    if isinstance(value, str):
        return float(value) if _NUMERIC.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST_INT < value < _LARGEST_INT else None


def read_int(value: object) -> int | None:
    """Return a whole number, also from text or a float; ``None`` for anything else."""
    if type(value) is int and -_LARGEST_INT < value < _LARGEST_INT:
        return value
    number = read_number(value)
    return int(number) if number is not None and number == int(number) else None


def read_text(value: object) -> str | None:
    """Return text that is not empty; numbers are written out, anything else is none."""
    if isinstance(value, str):
        return clean_text(value) or None
    return None if (number := read_number(value)) is None else str(number)


def read_name(value: object) -> str | None:
    """Return text without the space around it, ``None`` when nothing is left."""
    text = read_text(value)
    return (text.strip() or None) if text else None


def read_anything(value: object) -> str | None:
    """Return text, for a structure its JSON: some clients put objects where text belongs."""
    if not isinstance(value, dict | list):
        return str(value) if isinstance(value, bool) else read_text(value)
    try:
        return clean_text(json.dumps(value, ensure_ascii=False, default=str)) if value else None
    except (ValueError, RecursionError):
        return None


def read_dict(value: object) -> dict[str, Any]:
    """Return an object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def read_list(value: object) -> list[Any]:
    """Return a list, empty for anything else."""
    return list(value) if isinstance(value, list | tuple) else []


def read_values(value: object) -> list[dict[str, Any]]:
    """Read ``{"values": […]}``, a flat list, or a single object."""
    if isinstance(value, dict):
        value = value.get("values", value)
    if isinstance(value, dict):
        value = [value]
    return [entry for entry in read_list(value) if isinstance(entry, dict)]


def read_pairs(value: object) -> dict[str, Any]:
    """Read an object, or a list of pairs as some clients write one; a later name wins."""
    if isinstance(value, dict):
        return value
    return {
        str(read_text(entry[0])): entry[1]
        for entry in read_list(value)
        if isinstance(entry, list | tuple) and len(entry) == 2 and read_text(entry[0])
    }


def read_tags(value: object) -> dict[str, str]:
    """Read tags from an object or from pairs; a value that is no text or number is left out."""
    read = {
        clean_text(str(name)): "" if tag == "" else read_anything(tag)
        for name, tag in read_pairs(value).items()
        if not isinstance(tag, dict | list)
    }
    return {name: tag for name, tag in read.items() if tag is not None}


def search_text(given: str | None) -> str | None:
    """Return what a person looks for, without the space around it; ``None`` where it is nothing."""
    return clean_text(given or "").strip() or None
