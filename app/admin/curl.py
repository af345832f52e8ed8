"""An event's request as a command that a person can paste into a shell."""

from __future__ import annotations

import shlex
from typing import Any

from app.events.values import as_text, pairs
from app.protocol.scrub import FILTERED

MAX_BODY = 4000
MAX_HEADERS = 50
# curl writes these itself, from the address and the body.
_OWN_HEADERS = frozenset({"host", "content-length", "connection", "accept-encoding"})


def curl_of(request: dict[str, Any]) -> str | None:
    """Return the curl command, or ``None`` if the request has no HTTP or HTTPS address.

    Headers with a scrubbed value are left out of the command.
    """
    url = _whole_url(request)
    if url is None:
        return None
    parts = ["curl"]
    method = as_text(request.get("method") or "GET").upper()[:20]
    if method != "GET":
        parts.append(f"-X {_quoted(method)}")
    parts += [f"-H {_quoted(header)}" for header in _headers(request.get("headers"))]
    if request.get("data") not in (None, "", {}, []):
        parts.append(f"--data-raw {_quoted(as_text(request['data'])[:MAX_BODY])}")
    parts.append(_quoted(url))
    return " \\\n  ".join(parts)


def _whole_url(request: dict[str, Any]) -> str | None:
    url = request.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return None
    query = request.get("query_string")
    if isinstance(query, dict | list):
        query = "&".join(f"{as_text(name)}={as_text(value)}" for name, value in pairs(query))
    # Some SDKs send the query apart from the address, others send it in both places.
    if isinstance(query, str) and query and "?" not in url:
        url = f"{url}?{query.lstrip('?')}"
    return url[:MAX_BODY]


def _headers(headers: object) -> list[str]:
    shown = [(as_text(name), as_text(value)) for name, value in pairs(headers)[:MAX_HEADERS]]
    return [
        f"{name}: {value}"
        for name, value in shown
        if name.lower() not in _OWN_HEADERS and FILTERED not in value
    ]


def _quoted(text: str) -> str:
    return shlex.quote(as_text(text).replace("\n", " "))
