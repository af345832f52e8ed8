"""Receivers of notifications in tests: a web server and a mail server, on real sockets."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from flask import Flask, Response, request
from werkzeug.serving import make_server


@dataclass
class Received:
    """A request that the web server received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Served:
    """A server that runs in its own thread inside a ``with`` block."""

    _server: socketserver.BaseServer

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Receiver(_Served):
    """A web server that stores the requests it receives.

    :param certificate: for TLS; ``None`` for plain HTTP.
    :param port: of an earlier server that it replaces; by default a free port.
    """

    def __init__(self, certificate: Path | None = None, port: int = 0) -> None:
        self.received: list[Received] = []
        # Makes the answer; it is called after the request was stored.
        self.answer: Callable[[], Response] = lambda: Response("ok")
        app = Flask("receiver")
        app.add_url_rule("/", "root", self._take, methods=["POST"], defaults={"path": ""})
        app.add_url_rule("/<path:path>", "any", self._take, methods=["POST", "GET"])
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._server = make_server("127.0.0.1", port, app, threaded=True, ssl_context=context)
        self.port = self._server.port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    def _take(self, path: str) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(f"/{path}", headers, request.get_data()))
        return self.answer()


class MailServer(_Served):
    """A mail server that stores the messages it receives.

    :param certificate: for STARTTLS, which is offered only with it.
    :param login: the user and password that it requires, if any.
    :param encrypted: use TLS from the start; STARTTLS is not offered then.
    """

    def __init__(
        self,
        certificate: Path | None = None,
        login: tuple[str, str] | None = None,
        *,
        encrypted: bool = False,
    ) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.was_encrypted: list[bool] = []
        self.certificate, self.login, self.encrypted = certificate, login, encrypted
        # Addresses that it refuses.
        self.unknown: set[str] = set()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                session = _Session(outer, self.request)
                with contextlib.suppress(OSError):
                    if outer.encrypted:
                        session.encrypt()
                    session.run()
                session.file.close()
                session.sock.close()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])


class _Session:
    """A connection. Source: RFC 5321, section 4.1, and RFC 4954 for AUTH PLAIN."""

    def __init__(self, server: MailServer, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self.file = sock.makefile("rb")
        self.is_encrypted = False
        self.is_known = server.login is None
        self.to: list[str] = []

    def run(self) -> None:
        self.say("220 mail")
        while line := self.file.readline().strip().decode():
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            getattr(self, f"do_{verb.lower()}", self.unknown)(rest)

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode() + b"\r\n")

    def unknown(self, rest: str) -> None:
        self.say("502 not here")

    def do_ehlo(self, rest: str) -> None:
        offers = ["mail"]
        if self.server.certificate and not self.is_encrypted:
            offers.append("STARTTLS")
        if self.server.login:
            offers.append("AUTH PLAIN")
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def do_starttls(self, rest: str) -> None:
        self.say("220 go ahead")
        self.encrypt()

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.server.certificate))
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.is_encrypted = True

    def do_auth(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
        self.is_known = (user, password) == self.server.login
        self.say("235 welcome" if self.is_known else "535 who are you")

    def do_mail(self, rest: str) -> None:
        self.say("250 ok" if self.is_known else "530 log in first")

    def do_rcpt(self, rest: str) -> None:
        address = rest.partition("<")[2].partition(">")[0]
        if address in self.server.unknown:
            self.say("550 no such mailbox")
            return
        self.to.append(address)
        self.say("250 ok")

    def do_rset(self, rest: str) -> None:
        self.to = []
        self.say("250 ok")

    def do_data(self, rest: str) -> None:
        self.say("354 go ahead")
        lines = []
        while (line := self.file.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.received.append(message)
        self.server.recipients.append(self.to)
        self.server.was_encrypted.append(self.is_encrypted)
        self.say("250 kept")
