"""A test client whose requests go the way of requests over a socket: in a batch where possible."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse

from app.ingest.direct import DirectDoor
from app.server.batches import MAX_BODY_BYTES, Answer, Complete


class DirectClient(FlaskClient):
    """Sends requests to the direct door, and to the routes where that has no answer."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app, app.response_class)
        self.door = DirectDoor(app)

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if kwargs.get("method") == "POST" and not kwargs.get("environ_overrides"):
            builder = EnvironBuilder(*args, **kwargs)
            answer = self.answer_directly(builder.get_environ())
            if answer is not None:
                return self._response(answer, builder)
        return super().open(*args, **kwargs)

    def answer_directly(self, environ: dict[str, Any]) -> Answer | None:
        request = complete(environ)
        if len(request.body) > MAX_BODY_BYTES or not self.door.takes("POST", request.path):
            return None
        (answer,) = self.door.answer([request])
        return answer

    def _response(self, answer: Answer, builder: EnvironBuilder) -> TestResponse:
        lines = answer.headers.decode("latin-1").splitlines()
        pairs = [(name, text) for name, _, text in (line.partition(": ") for line in lines)]
        return self.response_wrapper(
            [answer.body], answer.status, Headers(pairs), request=builder.get_request()
        )


def complete(environ: dict[str, Any]) -> Complete:
    """Return the request of a WSGI environment as the event loop would hand it over."""
    named = {
        name.removeprefix("HTTP_").replace("_", "-"): text
        for name, text in environ.items()
        if name.startswith("HTTP_")
    }
    return Complete(
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        named,
        environ["wsgi.input"].read(),
        environ.get("REMOTE_ADDR", "127.0.0.1"),
    )
