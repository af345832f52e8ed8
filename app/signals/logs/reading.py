"""Read the lines of an envelope, leniently and within bounds; what was cut is said on the line.

Source: https://develop.sentry.dev/sdk/telemetry/logs/ (the item ``log``), 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Any

from app.protocol.lenient import (
    LEVELS,
    clean_text,
    read_dict,
    read_hex,
    read_int,
    read_level,
    read_list,
    read_timestamp,
)
from app.signals.kind import Stored
from app.signals.logs.changes import Changes, joined, many, text_of_odd
from app.signals.logs.line import Line, Scalar

ITEM_TYPE = "log"
# SDKs send at most 100 lines an envelope.
MAX_LINES = 1000
# Characters of a body: as many as a search reads (`search/words.py`).
MAX_BODY = 10_000
MAX_ATTRIBUTES = 100
MAX_NAME, MAX_VALUE = 200, 2000
# Characters of all names and values of a line together.
MAX_ALL = 20_000

RELEASE, ENVIRONMENT = "sentry.release", "sentry.environment"
# SDKs of JavaScript name the span of a line here, and older ones of Python, too.
SPAN = "sentry.trace.parent_span_id"
# The highest number of each level.
# Source: https://opentelemetry.io/docs/specs/otel/logs/data-model/ (SeverityNumber), 2026-11-28.
_SEVERITIES = ((8, "debug"), (12, "info"), (16, "warning"), (20, "error"), (24, "fatal"))


def read_lines(stored: Stored) -> list[Line]:
    """Return the lines of an envelope, in its order.

    The last of MAX_LINES says how many more there were, or entries that are no lines.
    """
    given = [
        entry
        for item in stored.envelope.items
        if item.type == ITEM_TYPE
        for entry in _entries(item.payload)
    ]
    entries = [entry for entry in given if isinstance(entry, dict) and entry]
    lines = [_line(entry, stored) for entry in islice(entries, MAX_LINES)]
    if lines and (more := len(given) - len(lines)):
        said = f"{many(more, 'line')} of its envelope left out"
        lines[-1].cut = joined((said, lines[-1].cut or ""))
    return lines


def _entries(payload: Any) -> list[Any]:
    """Return the lines of an item; SDKs of 2025 sent a single line without a list."""
    payload = read_dict(payload)
    return read_list(payload["items"]) if "items" in payload else [payload]


def _line(entry: Mapping[str, Any], stored: Stored) -> Line:
    changes = Changes()
    at = read_timestamp(entry.get("timestamp")) or stored.received_at
    # `app/protocol/client_clock.py` replaced an impossible time by this one when it arrived.
    changes.has_time_of_arrival = at == stored.received_at
    given = dict(read_dict(entry.get("attributes")))
    changes.attributes += not given and not isinstance(entry.get("attributes"), dict | None)
    release, environment = given.pop(RELEASE, None), given.pop(ENVIRONMENT, None)
    attributes = _attributes(given, changes)
    span_id = _id(entry.get("span_id"), "span", 16, changes)
    return Line(
        project_id=stored.project_id,
        at=at,
        level=_level(entry, changes),
        body=_body(entry.get("body"), changes),
        attributes=attributes,
        release=_fact(release, "release", 250, changes),
        environment=_fact(environment, "environment", 64, changes),
        trace_id=_id(entry.get("trace_id"), "trace", 32, changes),
        # What is no id stays an attribute.
        span_id=span_id or _id(attributes.get(SPAN), "span", 16, Changes()),
        cut=changes.in_words() if changes.are_any else None,
    )


def _body(given: Any, changes: Changes) -> str:
    text = given if isinstance(given, str) else text_of_odd(given)
    if text is None:
        changes.left_out += ("message",)
        return ""
    changes.of_body = max(0, len(text) - MAX_BODY)
    return clean_text(text[:MAX_BODY])


def _level(entry: Mapping[str, Any], changes: Changes) -> str:
    """Return the level: the one that is named, or that of the number; ``info`` without both.

    What is given and not known is left out, also if the other one says the level.
    """
    named, number = entry.get("level"), entry.get("severity_number")
    if named in LEVELS:
        return str(named)
    if isinstance(named, str) and named:
        read = read_level(named)
        if read != "error" or named.strip().lower() in (*LEVELS, "err", "severe"):
            return read
    by_number = _level_of(read_int(number) or 0)
    # The number 0 stands for none.
    if named or (by_number is None and number not in (None, 0)):
        changes.left_out += ("level",)
    return by_number or "info"


def _level_of(number: int) -> str | None:
    if number <= 0:
        return None
    return next((level for highest, level in _SEVERITIES if number <= highest), None)


def _attributes(given: Mapping[str, Any], changes: Changes) -> dict[str, Scalar]:
    kept: dict[str, Scalar] = {}
    length = 0
    for name, value in given.items():
        scalar = _scalar(value)
        if scalar is None:
            changes.attributes += not _is_absent(value)
            continue
        size, is_long = 8, False
        if isinstance(scalar, str):
            size = len(scalar)
            if size > MAX_VALUE:
                scalar, size, is_long = scalar[:MAX_VALUE], MAX_VALUE, True
        size += len(name)
        if len(kept) == MAX_ATTRIBUTES or length + size > MAX_ALL or len(name) > MAX_NAME:
            changes.attributes += 1
            continue
        length += size
        if is_long:
            changes.values += 1
        if not name.isascii() or "\0" in name:
            name = clean_text(name)
            changes.attributes += name in kept  # The later one of two names that become one stays.
        kept[name] = scalar
    return kept


def _is_absent(given: Any) -> bool:
    """Return whether an attribute is ``null``, alone or as ``{"value": null}``."""
    return given is None or (type(given) is dict and given.get("value", given) is None)


def _scalar(given: Any) -> Scalar | None:
    """Return the value of ``{"value": …, "type": …}``, or of the value alone.

    :return: ``None`` without one, or if it is nested too deep or a number of too many digits.
    """
    value = given.get("value", given) if type(given) is dict else given
    kind = type(value)
    if kind is str:
        return value if value.isascii() and "\0" not in value else clean_text(value)
    if kind is bool:
        return bool(value)
    if kind is int and abs(value) < 2**63:
        return int(value)
    if kind is float and isfinite(value):
        return float(value)
    return None if value is None else text_of_odd(value)


def _fact(given: Any, name: str, length: int, changes: Changes) -> str | None:
    """Return a release or environment from its attribute."""
    if _is_absent(given):
        return None
    value = _scalar(given)
    if value is None:
        changes.left_out += (name,)
        return None
    text = str(value)
    if len(text) > length:
        changes.cut += (name,)
    return text[:length] or None


def _id(value: Any, name: str, length: int, changes: Changes) -> str | None:
    if value is None or value == "":
        return None
    read = read_hex(value, length)
    # Zeros stand for none.
    if read is None and not (isinstance(value, str) and not value.strip("0-")):
        changes.left_out += (name,)
    return read
