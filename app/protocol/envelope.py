"""The envelope: Sentry's wire container, a line of headers and items that each have their own.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ (Serialization Format), 2026-11-23.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

# In JSON text: an escaped backslash or a whole surrogate pair (both stay), half a pair or NUL.
_UNSTORABLE = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\u0000"
)

# Item types whose payload is JSON text; what is not listed is kept as the bytes it came in.
JSON_ITEMS = frozenset(
    {
        "event",
        "transaction",
        "session",
        "sessions",
        "check_in",
        "feedback",
        "user_report",
        "client_report",
        "log",
        "trace_metric",
        "span",
        "profile",
        "profile_chunk",
    }
)


class EnvelopeError(ValueError):
    """The bytes are no envelope; the message says where they stop being one."""


@dataclass(slots=True)
class Item:
    """One part of an envelope.

    :param headers: ``type`` and whatever else the client sent; ``length`` is written anew.
    :param payload: parsed JSON for the types in :data:`JSON_ITEMS`, else bytes.
    """

    headers: dict[str, Any]
    payload: Any

    @property
    def type(self) -> str:
        """The item's type, ``unknown`` when it has none."""
        return str(self.headers.get("type") or "unknown")


@dataclass(slots=True)
class Envelope:
    """Headers and items in wire order."""

    headers: dict[str, Any]
    items: list[Item] = field(default_factory=list)

    @property
    def item_types(self) -> list[str]:
        """The types of its items, in order."""
        return [item.type for item in self.items]

    def event(self) -> Item | None:
        """Return the item that becomes an event, of which an envelope has at most one."""
        return next(
            (
                item
                for item in self.items
                if item.type == "event" and isinstance(item.payload, dict)
            ),
            None,
        )


def dump_json(value: Any) -> bytes:
    """Return compact ASCII JSON that every reader takes and every database keeps.

    Clients send NaN, NUL and halves of surrogate pairs; the first becomes ``null``, the others
    U+FFFD, as neither standard JSON, nor PostgreSQL, nor UTF-8 has a form for them.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), default=str, allow_nan=False).encode()
    except ValueError:
        text = json.dumps(_finite(value), separators=(",", ":"), default=str).encode()
    if b"\\ud" in text or b"\\u0000" in text:
        return _UNSTORABLE.sub(lambda match: match[1] or rb"\ufffd", text)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def serialize_envelope(envelope: Envelope) -> bytes:
    """Return the wire bytes, every item with its ``length``; ``sent_at`` is never among them.

    When an envelope is sent is known only while it is sent, possibly days later.
    """
    headers = {key: value for key, value in envelope.headers.items() if key != "sent_at"}
    lines = [dump_json(headers)]
    for item in envelope.items:
        payload = item.payload if isinstance(item.payload, bytes) else dump_json(item.payload)
        lines += [dump_json({**item.headers, "length": len(payload)}), payload]
    return b"\n".join(lines) + b"\n"


def parse_envelope(body: bytes) -> Envelope:
    """Split one inflated request body into headers and items.

    :param body: bytes after Content-Encoding was undone; header lines are UTF-8 JSON.
    :return: items in wire order; unknown item types are kept.
    :raise EnvelopeError: a header line is no JSON object, or a payload and its ``length`` differ.

    Source: https://develop.sentry.dev/sdk/data-model/envelopes/, 2026-11-23.
    """
    line, position = _line(body, 0)
    envelope = Envelope(_headers(line, "the envelope's headers"))
    while position < len(body):
        line, position = _line(body, position)
        if not line.strip():
            continue
        headers = _headers(line, f"the headers of item {len(envelope.items) + 1}")
        payload, position = _payload(body, position, headers)
        envelope.items.append(Item(headers, _decoded(headers, payload)))
    return envelope


def _line(body: bytes, position: int) -> tuple[bytes, int]:
    end = body.find(b"\n", position)
    return (body[position:], len(body)) if end < 0 else (body[position:end], end + 1)


def _headers(line: bytes, what: str) -> dict[str, Any]:
    try:
        headers = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"{what} are no JSON") from error
    if not isinstance(headers, dict):
        raise EnvelopeError(f"{what} are no JSON object")
    return headers


def _payload(body: bytes, position: int, headers: dict[str, Any]) -> tuple[bytes, int]:
    length = headers.get("length")
    if length is None:
        return _line(body, position)
    if type(length) is not int or length < 0:
        raise EnvelopeError("the length of an item is no count of bytes")
    end = position + length
    if end > len(body):
        raise EnvelopeError(f"an item ends {end - len(body)} bytes before its length")
    if body[end : end + 1] not in (b"\n", b""):
        raise EnvelopeError("an item is longer than its length")
    return body[position:end], end + 1


def _decoded(headers: dict[str, Any], payload: bytes) -> Any:
    if headers.get("type") not in JSON_ITEMS:
        return payload
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload  # Kept as it came; whoever needs its JSON says what is wrong with it.
