"""The envelope: Sentry's wire container. It has a header line, and items with their own headers.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ (Serialization Format), 2026-11-23.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

# In JSON text: an escaped backslash or a complete surrogate pair (both stay), a lone surrogate, or
# NUL.
_UNSTORABLE = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\u0000"
)

# The item types whose payload is JSON text. The payloads of all other types are kept as bytes.
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


# In these items, another format may follow the JSON (for example Android's traces). Such a payload
# is kept as bytes.
PROFILE_ITEMS = frozenset({"profile", "profile_chunk"})

_CONTAINERS = (dict, list)


class EnvelopeError(ValueError):
    """The bytes are not a valid envelope; the message says where the error is."""


class EnvelopeTooLarge(EnvelopeError):
    """The envelope is larger than the limits allow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum sizes of an envelope from a client.

    :param items: the number of items.
    :param header_bytes: bytes of the envelope's header line, and of each item's header line.
    :param json_bytes: bytes of the JSON of an item.
    :param json_values: values in the JSON of an item; each takes some 100 bytes of memory, even if
        it is much shorter on the wire.
    :param profile_values: the same for a profile, which has four values a sample.
    :param depth: levels of nesting in JSON.
    """

    items: int
    header_bytes: int
    json_bytes: int
    json_values: int
    profile_values: int
    depth: int


@dataclass(slots=True)
class Item:
    """An item of an envelope.

    :param headers: ``type`` and all other headers from the client; ``length`` is written again.
    :param payload: parsed JSON for the types in :data:`JSON_ITEMS`, bytes for all others.
    """

    headers: dict[str, Any]
    payload: Any

    @property
    def type(self) -> str:
        """The type of the item, or ``unknown`` if it has no type."""
        return str(self.headers.get("type") or "unknown")


@dataclass(slots=True)
class Envelope:
    """An envelope: its headers, and its items in wire order."""

    headers: dict[str, Any]
    items: list[Item] = field(default_factory=list)

    @property
    def item_types(self) -> list[str]:
        """The types of the items, in order."""
        return [item.type for item in self.items]

    def event(self) -> Item | None:
        """Return the event item, or ``None``; an envelope has at most one event."""
        return next(
            (
                item
                for item in self.items
                if item.type == "event" and isinstance(item.payload, dict)
            ),
            None,
        )


def dump_json(value: Any) -> bytes:
    """Return compact JSON that every parser can read and every database can store.

    Clients send NaN, NUL and lone surrogates. Standard JSON has no NaN, PostgreSQL refuses NUL, and
    UTF-8 cannot encode lone surrogates. NaN becomes ``null``; the others become U+FFFD.
    """
    try:
        # For an ordinary event this takes 0.02 ms, a fifth of the time of the standard library.
        text = to_json(value, inf_nan_mode="null")
    except ValueError:
        return _without_unstorable(_dump_odd_json(value))
    # It refuses lone surrogates, so only NUL is searched for: a search takes a fifth of the time.
    return _without_unstorable(text) if b"\\u0000" in text else text


def _without_unstorable(text: bytes) -> bytes:
    return _UNSTORABLE.sub(lambda match: match[1] or rb"\ufffd", text)


def _dump_odd_json(value: Any) -> bytes:
    """Return the JSON of a value with lone surrogates, objects, or hundreds of levels."""
    try:
        return json.dumps(value, separators=(",", ":"), default=str, allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), default=str).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def serialize_envelope(envelope: Envelope) -> bytes:
    """Return the wire bytes of an envelope, with a ``length`` for every item, without ``sent_at``.

    The time of sending is known only when the envelope is sent, and that may be days later.
    """
    headers = {key: value for key, value in envelope.headers.items() if key != "sent_at"}
    lines = [dump_json(headers)]
    for item in envelope.items:
        payload = item.payload if isinstance(item.payload, bytes) else dump_json(item.payload)
        lines += [dump_json({**item.headers, "length": len(payload)}), payload]
    return b"\n".join(lines) + b"\n"


def parse_envelope(body: bytes | bytearray, limits: Limits | None = None) -> Envelope:
    """Return the envelope in an inflated request body.

    :param body: bytes after decoding Content-Encoding. Header lines are UTF-8 JSON; invalid UTF-8
        in headers and JSON items becomes U+FFFD.
    :param limits: the limits for envelopes from clients. Without limits, an item with invalid JSON
        keeps its bytes, and the caller can report what is wrong.
    :return: the envelope with its items in wire order; unknown item types are kept.
    :raise EnvelopeError: a header line is not a JSON object, or a payload does not match its
        ``length``.
    :raise EnvelopeTooLarge: the envelope is beyond the limits.

    Source: https://develop.sentry.dev/sdk/data-model/envelopes/, 2026-11-23.
    """
    headers, position = _read_headers(body, 0, "the envelope's headers", limits)
    envelope = Envelope(headers)
    while position < len(body):
        end = _line_end(body, position)
        if end - position < 64 and not body[position:end].strip():
            position = end + 1
            continue
        number = len(envelope.items) + 1
        if limits and number > limits.items:
            raise EnvelopeTooLarge(f"an envelope has at most {limits.items} items")
        headers, position = _read_headers(body, position, f"the headers of item {number}", limits)
        end, next_position = _payload_end(body, position, headers)
        if limits and _is_json(headers) and end - position > limits.json_bytes:
            raise EnvelopeTooLarge(f"an item of JSON has at most {limits.json_bytes} bytes")
        with memoryview(body) as view:  # A slice of a bytearray would make one more copy.
            payload = bytes(view[position:end])
        position = next_position
        envelope.items.append(Item(headers, _decoded(headers, payload, limits)))
    return envelope


def read_items(body: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield headers and payload of each item of an envelope, one at a time and not decoded.

    :raise EnvelopeError: as :func:`parse_envelope`; the items before were yielded.
    """
    _, position = _read_headers(body, 0, "the envelope's headers", None)
    number = 0
    while position < len(body):
        end = _line_end(body, position)
        if end - position < 64 and not body[position:end].strip():
            position = end + 1
            continue
        number += 1
        headers, position = _read_headers(body, position, f"the headers of item {number}", None)
        end, following = _payload_end(body, position, headers)
        yield headers, body[position:end]
        position = following


def parse_only(
    body: bytes, types: Collection[str], max_bytes: int | None = None
) -> tuple[Envelope, int]:
    """Return an envelope with its items of some types, and their bytes; others are not decoded.

    :param max_bytes: of all of these items.
    :raise EnvelopeTooLarge: they have more. :raise EnvelopeError: as :func:`parse_envelope`.
    """
    envelope = Envelope(parse_headers(body))
    found = [
        (headers, text) for headers, text in read_items(body) if str(headers.get("type")) in types
    ]
    size = sum(len(text) for _, text in found)
    if max_bytes is not None and size > max_bytes:
        raise EnvelopeTooLarge(f"at most {max_bytes} bytes of {', '.join(sorted(types))}")
    envelope.items += [Item(headers, _decoded(headers, text, None)) for headers, text in found]
    return envelope, size


def parse_headers(body: bytes | bytearray, limits: Limits | None = None) -> dict[str, Any]:
    """Return the headers of an envelope without reading its items.

    :raise EnvelopeError: the header line is not a JSON object.
    """
    return _read_headers(body, 0, "the envelope's headers", limits)[0]


def parse_json(text: bytes | bytearray, limits: Limits, kind: str = "") -> Any:
    """Return the value of JSON from a client, within limits.

    :param kind: the type of its item.
    :raise EnvelopeTooLarge: the JSON is too long or has too many values.
    :raise EnvelopeError: the text is not JSON, or it is nested too deeply.
    """
    if len(text) > limits.json_bytes:
        raise EnvelopeTooLarge(f"an item of JSON has at most {limits.json_bytes} bytes")
    # Commas in strings also count. Counting too many is better than a second parser.
    most = limits.profile_values if kind in PROFILE_ITEMS else limits.json_values
    if len(text) > most and text.count(b",") > most:
        raise EnvelopeTooLarge(f"an item of JSON has at most {most} values")
    try:
        value = load_json(text)
    except RecursionError as error:
        raise EnvelopeError(f"JSON is nested deeper than {limits.depth} levels") from error
    except ValueError as error:
        raise EnvelopeError("it is no JSON") from error
    if _is_deeper(value, limits.depth, text.count(b"[") + text.count(b"{")):
        raise EnvelopeError(f"JSON is nested deeper than {limits.depth} levels")
    return value


def load_json(text: bytes | bytearray) -> Any:
    """Return the value of JSON text; bytes that are not UTF-8 become U+FFFD.

    :raise ValueError: the text is not JSON. :raise RecursionError: it is nested too deeply.
    """
    try:
        # It takes 0.6 of the time of the standard library, and never reads anything in another way.
        return from_json(text, cache_strings="keys")
    except ValueError:
        return _load_odd_json(text)


def _load_odd_json(text: bytes | bytearray) -> Any:
    """Return the value of JSON that the fast parser refuses.

    It may have a byte order mark, lone surrogates, more than 200 levels, or bytes that are not
    UTF-8. A single letter in another encoding, for example in a file name, must not lose the whole
    event.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        return json.loads(text.decode("utf-8-sig", "replace"))


def _is_deeper(value: Any, depth: int, brackets: int) -> bool:
    """Return whether a value has more than ``depth`` levels of containers.

    :param brackets: the opening brackets in its text; it has at most as many containers. The search
        ends when there are fewer left than levels, in an ordinary event at the third level.
    """
    # The parser makes exactly these types. Comparing types takes half the time of isinstance().
    level = [value] if type(value) in _CONTAINERS else []
    while level and depth < brackets:
        if not depth:
            return True
        depth -= 1
        brackets -= len(level)
        level = [
            member
            for container in level
            for member in (container.values() if type(container) is dict else container)
            if type(member) in _CONTAINERS
        ]
    return False


def _line_end(body: bytes | bytearray, position: int) -> int:
    end = body.find(b"\n", position)
    return len(body) if end < 0 else end


def _read_headers(
    body: bytes | bytearray, position: int, what: str, limits: Limits | None
) -> tuple[dict[str, Any], int]:
    end = _line_end(body, position)
    if limits and end - position > limits.header_bytes:
        raise EnvelopeTooLarge(f"{what} have more than {limits.header_bytes} bytes")
    try:
        line = body[position:end]
        headers = load_json(line)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"{what} are no JSON") from error
    if not isinstance(headers, dict):
        raise EnvelopeError(f"{what} are no JSON object")
    if limits and _is_deeper(headers, limits.depth, line.count(b"[") + line.count(b"{")):
        raise EnvelopeError(f"{what} are nested too deeply")
    return headers, end + 1


def _payload_end(
    body: bytes | bytearray, position: int, headers: dict[str, Any]
) -> tuple[int, int]:
    """Return where the payload ends, and where the next item begins."""
    length = headers.get("length")
    if length is None:
        end = _line_end(body, position)
        return end, end + 1
    if type(length) is not int or length < 0:
        raise EnvelopeError("the length of an item is no count of bytes")
    end = position + length
    if end > len(body):
        raise EnvelopeError(f"an item ends {end - len(body)} bytes before its length")
    if body[end : end + 1] not in (b"\n", b""):
        raise EnvelopeError("an item is longer than its length")
    return end, end + 1


def _is_json(headers: dict[str, Any]) -> bool:
    kind = headers.get("type")
    return isinstance(kind, str) and kind in JSON_ITEMS


def _decoded(headers: dict[str, Any], payload: bytes, limits: Limits | None) -> Any:
    if not _is_json(headers):
        return payload
    if limits is None:
        try:
            return load_json(payload)
        except (ValueError, RecursionError):
            return payload
    try:
        return parse_json(payload, limits, headers["type"])
    except EnvelopeTooLarge:
        raise
    except EnvelopeError as error:
        if headers["type"] in PROFILE_ITEMS:
            return payload
        raise EnvelopeError(f"the payload of an item {headers['type']!r}: {error}") from error
