"""Steps of the tests of MCP: a token, one message, and what stands within and outside of fences."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from tests.conftest import parts_of

JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class _Silent(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Print nothing for a request."""


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """Serve an application on a socket, and yield the address of MCP."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bearer(app: Flask, *scopes: str, **options: Any) -> dict[str, str]:
    """Return the header of a new token; by default with the scope ``mcp``."""
    accounts = parts_of(app).accounts
    name = f"agent {uuid.uuid4().hex[:8]}"
    token = accounts.create_token(name, scopes or ("mcp",), **options)
    return {"Authorization": f"Bearer {token}"}


def post(app: Flask, body: Any, headers: dict[str, str], **options: Any) -> TestResponse:
    """Send a body to MCP."""
    if not isinstance(body, str | bytes):
        options["json"] = body
    else:
        options["data"] = body
    return app.test_client().post("/mcp", headers={**JSON, **headers}, **options)


def message(method: str, id: int | str = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


class Answered(NamedTuple):
    """The answer of a tool."""

    is_error: bool
    text: str


def call(app: Flask, headers: dict[str, str], name: str, **arguments: Any) -> Answered:
    """Call a tool; the test fails if that is an error of the protocol."""
    answer = post(app, message("tools/call", name=name, arguments=arguments), headers)
    assert answer.status_code == 200 and "result" in answer.json, answer.text
    result = answer.json["result"]
    [content] = result["content"]
    assert content["type"] == "text" and "structuredContent" not in result
    return Answered(result["isError"], content["text"])


def apart(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of an answer outside of its fences and those within.

    The test fails if a fence is not closed, or a line within does not begin with ``|``.
    """
    assert all(letter == "\n" or letter.isprintable() for letter in text), ascii(text)
    found = re.match(r"What stands between <untrusted ([0-9a-f]{16})>", text)
    first, last = (f"<untrusted {found[1]}>", f"</untrusted {found[1]}>") if found else ("", "")
    outside: list[str] = []
    within: list[str] = []
    is_within = False
    for line in text.split("\n"):
        if is_within and line != last:
            assert line.startswith("| "), line
            within.append(line[2:])
        elif line in (first, last) and line:
            assert is_within == (line == last), "a fence within a fence"
            is_within = not is_within
        else:
            outside.append(line)
    assert not is_within, "a fence is not closed"
    return outside[1 if found else 0 :], within
