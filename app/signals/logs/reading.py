"""Read the lines of an envelope, leniently and within bounds; what was cut is said on the line.

Source: https://develop.sentry.dev/sdk/telemetry/logs/ (the item ``log``), 2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from app.protocol.lenient import (
    LEVELS,
    clean_text,
    read_anything,
    read_dict,
    read_int,
    read_level,
    read_list,
    read_timestamp,
)
from app.signals.kind import Stored
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
_HEX = re.compile(r"[0-9a-f]+")
# The highest number of each level.
# Source: https://opentelemetry.io/docs/specs/otel/logs/data-model/ (SeverityNumber), 2026-11-28.
_SEVERITIES = ((8, "debug"), (12, "info"), (16, "warning"), (20, "error"), (24, "fatal"))


def read_lines(stored: Stored) -> list[Line]:
    """Return the lines of an envelope, in its order.

    The last of MAX_LINES says how many more there were.
    """
    given = [
        entry
        for item in stored.envelope.items
        if item.type == ITEM_TYPE
        for entry in _entries(item.payload)
    ]
    lines = [_line(entry, stored) for entry in islice(given, MAX_LINES)]
    if len(given) > MAX_LINES:
        more = f"{len(given) - MAX_LINES:,} more lines of its envelope left out"
        lines[-1].cut = "; ".join(filter(None, (lines[-1].cut, more)))
    return lines


def _entries(payload: Any) -> Iterator[dict[str, Any]]:
    """Yield the lines of an item; SDKs of 2025 sent a single line without a list."""
    payload = read_dict(payload)
    entries = read_list(payload["items"]) if "items" in payload else [payload]
    return (entry for entry in entries if isinstance(entry, dict) and entry)


def _line(entry: Mapping[str, Any], stored: Stored) -> Line:
    body = clean_text(entry["body"]) if isinstance(entry.get("body"), str) else ""
    body = body or read_anything(entry.get("body")) or ""
    attributes, left_out, shortened = _attributes(read_dict(entry.get("attributes")))
    release, environment = attributes.pop(RELEASE, None), attributes.pop(ENVIRONMENT, None)
    return Line(
        project_id=stored.project_id,
        at=_time(entry, stored.received_at),
        level=_level(entry),
        body=body[:MAX_BODY],
        attributes=attributes,
        release=_fact(release, 250),
        environment=_fact(environment, 64),
        trace_id=_id(entry.get("trace_id"), 32),
        span_id=_id(entry.get("span_id"), 16) or _id(attributes.get(SPAN), 16),
        cut=_cut(len(body) - MAX_BODY, left_out, shortened),
    )


def _time(entry: Mapping[str, Any], received_at: datetime) -> datetime:
    return read_timestamp(entry.get("timestamp")) or received_at


def _level(entry: Mapping[str, Any]) -> str:
    """Return the level: the one that is named, or that of the number; ``info`` without both."""
    named = entry.get("level")
    if named in LEVELS:
        return str(named)
    if isinstance(named, str) and named:
        read = read_level(named)
        if read != "error" or named.strip().lower() in (*LEVELS, "err", "severe"):
            return read
    number = read_int(entry.get("severity_number")) or 0
    if not 0 < number <= 24:
        return "info"
    return next(level for highest, level in _SEVERITIES if number <= highest)


def _attributes(given: Mapping[str, Any]) -> tuple[dict[str, Scalar], int, int]:
    """Return the attributes, how many were left out, and how many values were cut."""
    kept: dict[str, Scalar] = {}
    left_out = shortened = length = 0
    for name, value in given.items():
        scalar = _scalar(value)
        if scalar is None:
            continue
        size = 8
        if isinstance(scalar, str):
            size = len(scalar)
            if size > MAX_VALUE:
                scalar, size = scalar[:MAX_VALUE], MAX_VALUE
                shortened += 1
        size += len(name)
        if len(kept) == MAX_ATTRIBUTES or length + size > MAX_ALL or len(name) > MAX_NAME:
            left_out += 1
        else:
            length += size
            kept[name if name.isascii() and "\0" not in name else clean_text(name)] = scalar
    return kept, left_out, shortened


def _scalar(given: Any) -> Scalar | None:
    """Return the value of ``{"value": …, "type": …}``, or of the value alone."""
    value = given.get("value", given) if type(given) is dict else given
    kind = type(value)
    if kind is str:
        return value if value.isascii() and "\0" not in value else clean_text(value)
    if kind is bool:
        return bool(value)
    if kind is int and abs(value) < 2**53:
        return int(value)
    text = read_anything(value)  # No text: it is too large, or no number.
    return value if text is not None and kind in (int, float) else text


def _fact(value: Scalar | None, length: int) -> str | None:
    return str(value)[:length] if value not in (None, "") else None


def _id(value: Any, length: int) -> str | None:
    if not isinstance(value, str):
        return None
    text = value if len(value) == length else value.replace("-", "")
    text = text.lower()
    return text if len(text) == length and _HEX.fullmatch(text) and text.strip("0") else None


def _cut(of_body: int, left_out: int, shortened: int) -> str | None:
    if of_body <= 0 and not left_out and not shortened:
        return None
    words = []
    if of_body > 0:
        words.append(f"{of_body:,} characters of the message cut")
    if left_out:
        words.append(f"{left_out:,} attributes left out")
    if shortened:
        words.append(f"{shortened:,} values cut")
    return "; ".join(words)
