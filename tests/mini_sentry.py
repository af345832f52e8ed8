"""A fake Sentry on a real socket; tests can set its answers.

It records the accepted envelopes, so that a test can compare them with the captured events.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from app.protocol.envelope import Envelope, parse_envelope

Answer = Callable[[Envelope], Response | None]


class _Silent(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Print nothing for a request."""


class MiniSentry:
    """The fake, a context manager; ``dsn`` is the DSN for an SDK.

    ``answer`` may be a function that returns a response for an envelope that is not accepted, and
    ``None`` for one that is.
    """

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer | None = None
        self._arrived = threading.Condition()
        self._server = make_server(
            "127.0.0.1", 0, self._application(), threaded=True, request_handler=_Silent
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def dsn(self) -> str:
        return f"http://publickey@127.0.0.1:{self._server.port}/42"

    def __enter__(self) -> MiniSentry:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, done: Callable[[MiniSentry], bool], timeout_s: float = 10.0) -> None:
        """Wait until the condition holds; fail the test after the timeout."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: done(self), timeout_s), self.events()

    def events(self) -> list[dict[str, Any]]:
        """Return the payloads of the accepted events, in order."""
        items = [envelope.event() for envelope in list(self.envelopes)]
        return [item.payload for item in items if item is not None]

    def event_ids(self) -> list[str]:
        return [event["event_id"] for event in self.events()]

    def _application(self) -> Flask:
        app = Flask("mini_sentry")

        @app.post("/api/<int:project_id>/envelope/")
        def envelope(project_id: int) -> Response | tuple[dict[str, Any], int]:
            if "sentry_key=publickey" not in request.headers.get("X-Sentry-Auth", ""):
                return {"detail": "missing authorization"}, 401
            received = parse_envelope(_inflated(request.get_data()))
            answer = self.answer(received) if self.answer else None
            if answer is not None:
                return answer
            with self._arrived:
                self.envelopes.append(received)
                self.headers.append(dict(request.headers))
                self._arrived.notify_all()
            return {"id": received.headers.get("event_id")}, 200

        return app


def _inflated(body: bytes) -> bytes:
    encoding = request.headers.get("Content-Encoding", "")
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body
