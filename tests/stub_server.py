"""A server whose answers a test sets, with TLS if it has a certificate."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response
from werkzeug.serving import make_server


class Answering:
    """A server whose answers a test sets, with TLS if it gets a certificate."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.answers: Callable[[], Response] = lambda: Response("{}")
        app = Flask("fake")
        app.add_url_rule("/<path:path>", "any", lambda path: self.answers(), methods=["POST"])
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._server = make_server("127.0.0.1", 0, app, ssl_context=context)
        self.port = self._server.port
        self.dsn = f"{'https' if context else 'http'}://publickey@127.0.0.1:{self.port}/42"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
