"""The HTTP request of an event. All forms that clients send are read into one form."""

from __future__ import annotations

from typing import Any

from app.protocol.lenient import read_anything, read_dict, read_list, read_text

MAX_COOKIES = 200


def read_request(value: object) -> dict[str, Any]:
    """Return the request with ``headers`` and ``cookies`` as dictionaries of texts.

    Clients send both as objects or as lists of pairs, and cookies also as the text of the header.
    The other members (``method``, ``url``, ``query_string``, ``data``, ``env`` …) are unchanged.
    """
    request = dict(read_dict(value))
    if "headers" in request:
        request["headers"] = _named(request["headers"], ", ")
    if isinstance(request.get("cookies"), str):
        request["cookies"] = _cookies(request["cookies"])
    if "cookies" in request:
        request["cookies"] = _named(request["cookies"], "; ")
    return request


def _named(value: object, separator: str) -> dict[str, str]:
    """Return values by name; several values of a name are joined, as in HTTP headers."""
    pairs: Any = value.items() if isinstance(value, dict) else read_list(value)
    named: dict[str, str] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not read_text(pair[0]):
            continue
        name, text = str(read_text(pair[0])), _joined(pair[1], separator)
        named[name] = f"{named[name]}{separator}{text}" if name in named else text
    return named


def _joined(value: object, separator: str) -> str:
    if isinstance(value, list):
        return separator.join(read_anything(member) or "" for member in value)
    return read_anything(value) or ""


def _cookies(header: str) -> list[list[str]]:
    found = (part.strip().partition("=") for part in header.split(";", MAX_COOKIES))
    return [[name, value] for name, _, value in found if name]
