"""Read the JSON body of a request, at most a number of bytes of it."""

from __future__ import annotations

import json
from typing import Any

from flask import abort, current_app, request

from app.web import access


def body_limit() -> int:
    """Return how many bytes the body of the request may have.

    A view that takes more than ``MAX_CONTENT_LENGTH`` says so in its attribute ``max_bytes``.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    return max(getattr(view, "max_bytes", 0), current_app.config["MAX_CONTENT_LENGTH"] or 0)


def read_bytes(max_bytes: int) -> bytes:
    """Return the body, or one byte more than ``max_bytes`` of a longer one."""
    # The body is read here because Werkzeug cuts a chunked body that is too long without an error.
    return request.stream.read(max_bytes + 1)


def read_json(raw: bytes, max_bytes: int) -> Any:
    """Return the value that a body has.

    :param raw: what :func:`read_bytes` returned.
    :raise 400: it is no JSON. :raise 413: it is longer than ``max_bytes``.
    :raise 415: its Content-Type is not JSON.
    """
    if not request.is_json and not access.needs_no_content_type():
        abort(415, description="Content-Type: application/json is expected")
    if len(raw) > max_bytes:
        abort(413, description=f"at most {max_bytes} bytes are expected")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        abort(400, description="the body is no JSON")
