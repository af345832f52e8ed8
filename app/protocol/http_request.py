"""The request that an event happened in, in one form whichever the client chose."""

from __future__ import annotations

from typing import Any

from app.protocol.lenient import read_anything, read_dict, read_list, read_text

MAX_COOKIES = 200


def read_request(value: object) -> dict[str, Any]:
    """Return the request with ``headers`` and ``cookies`` as objects of texts.

    Clients send both as objects or as pairs, cookies also as the header's text; the other members
    (``method``, ``url``, ``query_string``, ``data``, ``env`` …) stay as they came.
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
    """Read names and values; what comes twice is joined, as a header's values are."""
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
