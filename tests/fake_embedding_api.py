"""A fake embedding API on a real socket, which answers as OpenAI's does; tests set its faults."""

from __future__ import annotations

import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fake_qdrant.moods import Mood, response

DIMS = 64


class FakeEmbeddingApi:
    """The fake, a context manager; texts with the same words have the same vector.

    ``mood`` answers instead, while it is set. ``requests`` has the body of each request, and
    ``keys`` its key.

    :param dims: of its vectors, if a request names no other number.
    :param takes_dims: whether a request may name the number of dimensions.
    :param max_characters: of a text; longer ones are refused with 400.
    """

    def __init__(
        self, dims: int = DIMS, *, takes_dims: bool = True, max_characters: int = 100_000
    ) -> None:
        self.dims, self.takes_dims, self.max_characters = dims, takes_dims, max_characters
        self.mood: Mood | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of an application that asks this API."""
        return {
            "EMBEDDER_URL": self.url,
            "EMBEDDER_API_KEY": "s3cret-key",
            "EMBEDDER_MODEL": "words",
            "EMBEDDER_DIMS": self.dims,
            "EMBEDDER_TIMEOUT_S": 5.0,
        }

    @property
    def texts(self) -> list[str]:
        """All texts that were sent, in order."""
        return [text for request in list(self.requests) for text in request["input"]]

    def __enter__(self) -> FakeEmbeddingApi:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def answer_to(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of an answer."""
        texts = request["input"]
        if "dimensions" in request and not self.takes_dims:
            return 400, {"error": {"message": "dimensions", "code": "unknown_parameter"}}
        if any(len(text) > self.max_characters for text in texts):
            return 400, {"error": {"message": texts[0], "code": "context_length_exceeded"}}
        dims = request.get("dimensions", self.dims)
        rows = [{"index": n, "embedding": vector(text, dims)} for n, text in enumerate(texts)]
        return 200, {"data": rows[::-1], "usage": {"prompt_tokens": 2 * len(texts)}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fake.requests.append(json.loads(body))
                fake.keys.append(self.headers["Authorization"])
                if fake.mood is not None:
                    self.close_connection = True
                    fake.mood(self.connection, fake._stopped)
                    return
                status, answer = fake.answer_to(fake.requests[-1])
                if self.path != "/v1/embeddings":
                    status, answer = 404, {}
                self.connection.sendall(response(status, json.dumps(answer).encode()))

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing for a request."""

        return Handler


def vector(text: str, dims: int = DIMS) -> list[float]:
    """Return the vector of a text: how often it has the words of each of some classes."""
    row = [0.0] * dims
    for word in text.lower().split():
        row[zlib.crc32(word.strip(".,?!").encode()) % dims] += 1.0
    return row
