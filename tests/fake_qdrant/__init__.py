"""A contract server in place of Qdrant; the unmodified qdrant-client uses it over real HTTP.

    __init__.py   FakeQdrant: start it, set its mood, read its points
    contract.py   the requests and answers of a server    moods.py   faulty behaviour

Tests with it show that the requests fit Qdrant's interface, and how the application handles every
answer. They cannot show how a server searches, ranks, stores and replicates: ``make test-qdrant``
uses a real server.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake_qdrant.contract import Contract, Refusal
from tests.fake_qdrant.moods import Mood, response


class FakeQdrant:
    """The fake server, a context manager. Its points stay after ``stop()`` and ``start()``.

    ``mood`` handles requests instead of the contract. ``moody_paths`` limits the mood to paths that
    contain one of these texts. ``requests`` has method and path of all requests.

    :param api_key: the key that callers must send; ``None`` for no key.
    """

    def __init__(self, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.contract = Contract()
        self.mood: Mood | None = None
        self.moody_paths: tuple[str, ...] = ("",)
        self.requests: list[tuple[str, str]] = []
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> FakeQdrant:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port after a restart."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections, and close open ones."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def points(self) -> dict[str, dict[str, Any]]:
        """Return the payloads of all points by their ids."""
        found: dict[str, dict[str, Any]] = {}
        for name in list(self.contract.created):
            found |= self.contract.points(name)
        return found

    def asked(self, part: str) -> int:
        """Return how many requests had this text in their path."""
        return sum(part in path for _, path in list(self.requests))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], fake: FakeQdrant) -> None:
        self.fake = fake
        self.stopped = threading.Event()
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: tests make callers give up on purpose."""

    def end(self) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(2)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_POST = do_DELETE = do_GET

    def _answer(self) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        fake.requests.append((self.command, parts.path))
        if fake.mood is not None and any(path in parts.path for path in fake.moody_paths):
            self.close_connection = True
            fake.mood(self.connection, self.server.stopped)
            return
        self.connection.sendall(self._of_the_contract(parts.path, parts.query, body))

    def _of_the_contract(self, path: str, query: str, body: bytes) -> bytes:
        fake = self.server.fake
        brought = self.headers.get("api-key", "")
        if fake.api_key is not None and not hmac.compare_digest(brought, fake.api_key):
            return response(401, b"Must provide an API key or an Authorization bearer token")
        if path == "/":
            told = {"title": "qdrant - vector search engine", "version": fake.contract.version}
            return response(200, json.dumps(told).encode())
        try:
            result = fake.contract.answer(self.command, path, dict(parse_qsl(query)), body)
        except Refusal as refusal:
            status = {"error": str(refusal)}
            told = {"status": status, "time": 0.0}  # type: ignore[dict-item]
            return response(refusal.status, json.dumps(told).encode())
        return response(
            200, json.dumps({"result": result, "status": "ok", "time": 0.0, "usage": None}).encode()
        )

    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""
