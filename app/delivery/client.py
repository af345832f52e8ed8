"""One kept-alive connection to Sentry: an envelope goes out, an answer or a cause comes back.

Certificates are verified. The authorities of ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` are
trusted, else certifi's; the proxy of ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` is used: the
variables that the SDK and every other client know.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import socket
import ssl
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.exceptions import TimeoutError as HTTPTimeout
from urllib3.response import HTTPResponse

from app.delivery.policy import Answer, Failure
from app.protocol.dsn import Dsn

# Of one wait: for the connection, for the next bytes of the answer. A Sentry that needs longer is
# not well, and the envelope is safe here.
TIMEOUT_S = 10.0
# Of the whole exchange, against an answer that drips.
DEADLINE_S = 30.0
MAX_ANSWER_BYTES = 65_536
# Keys are 32 hex digits; what is this short is no secret, and may stand in any word.
MIN_KEY_LENGTH = 8
CLIENT = "devenviro/1"
INSTANCE_HEADER = "X-DevEnviro-Instance"
# A sixth of the CPU of level 9, for an eighth more bytes (a 20 KB event).
GZIP_LEVEL = 1


class Connection:
    """A connection to one DSN, opened when it is first needed and whenever it was lost.

    Not for two threads at once, but for :meth:`abort`.

    :param instance_id: of this store; it tells us our own envelopes when they come back.
    """

    def __init__(self, dsn: Dsn, instance_id: str) -> None:
        self._dsn = dsn
        self._instance_id = instance_id
        self._connection: HTTPConnection | None = None
        self._target = dsn.path
        self._proxy_headers: dict[str, str] = {}
        self._aborted = self._is_ended = False

    def send(self, body: bytes, via: str | None = None) -> Answer | Failure:
        """Send an envelope; never raises for what the network or the other end does.

        :param body: of :func:`stamped`.
        :param via: the instances it came through before.
        """
        self._aborted = False
        try:
            return self._exchange(gzip.compress(body, GZIP_LEVEL), via)
        except (HTTPError, http.client.HTTPException, OSError) as error:
            self.close()
            return Failure(self._why() or cause_of(error))

    def abort(self) -> None:
        """End an exchange that takes too long; from another thread."""
        self._aborted = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.close()  # It is closed already.

    def end(self) -> None:
        """End an exchange before its answer, and let no other one begin; from another thread."""
        self._is_ended = True
        self.abort()

    def close(self) -> None:
        """Close it; the next envelope opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, data: bytes, via: str | None) -> Answer:
        connection = self._connected()
        connection.request(
            "POST", self._target, body=data, headers=self._headers(via), preload_content=False
        )
        response = connection.getresponse()
        content, is_whole = _beginning(response)
        if not is_whole or response.headers.get("Connection", "").lower() == "close":
            self.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return without_keys(Answer(response.status, headers, content), self._dsn)

    def _headers(self, via: str | None) -> dict[str, str]:
        return {
            "Content-Type": "application/x-sentry-envelope",
            "Content-Encoding": "gzip",
            "User-Agent": CLIENT,
            "X-Sentry-Auth": self._dsn.authorization(CLIENT),
            INSTANCE_HEADER: ", ".join(filter(None, (via, self._instance_id))),
            **self._proxy_headers,
        }

    def _connected(self) -> HTTPConnection:
        if self._connection is not None and not self._connection.is_connected:
            self.close()  # The other end closed it while nothing was sent.
        if self._connection is None:
            self._connection = self._opened()
            self._connection.connect()
        if self._is_ended:
            raise ConnectionAbortedError
        return self._connection

    def _why(self) -> str | None:
        if self._is_ended:
            return "this process ended before an answer came"
        return "no answer in time" if self._aborted else None

    def _opened(self) -> HTTPConnection:
        dsn, proxy = self._dsn, _proxy_for(self._dsn)
        if proxy is None:
            return _new(dsn.is_encrypted, dsn.host, dsn.port)
        headers = _proxy_authorization(proxy)
        connection = _new(dsn.is_encrypted, proxy.hostname or "", proxy.port or 3128)
        if dsn.is_encrypted:
            connection.set_tunnel(dsn.host, dsn.port, headers)
        else:
            self._target, self._proxy_headers = f"{dsn.origin}{dsn.path}", headers
        return connection


def tls_context() -> ssl.SSLContext:
    """Return what certificates are held against: the authorities the SDK trusts, too."""
    authorities = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=authorities or certifi.where())


def cause_of(error: BaseException) -> str:
    """Return what happened on the way to Sentry, in words, without any address or key."""
    chain: list[BaseException] = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) and len(chain) < 10:
        chain.append(deeper)
    for kinds, text in _CAUSES:
        if any(isinstance(one, kinds) for one in chain):
            return text
    tls = next((one for one in chain if isinstance(one, ssl.SSLError)), None)
    if tls is not None:
        return f"TLS: {getattr(tls, 'verify_message', '') or tls.reason or type(tls).__name__}"
    told = next((one for one in chain if isinstance(one, OSError) and one.strerror), None)
    return f"not reached: {getattr(told, 'strerror', None) or type(error).__name__}"


_CAUSES: tuple[tuple[Any, str], ...] = (
    ((NameResolutionError, socket.gaierror), "DNS: the name of the host does not resolve"),
    (ConnectionRefusedError, "connection refused: nothing listens there"),
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    ((HTTPTimeout, TimeoutError), "no answer in time"),
    ((ConnectionResetError, BrokenPipeError), "the connection was reset"),
    (http.client.HTTPException, "what answers does not speak HTTP"),
)


def without_keys(answer: Answer, dsn: Dsn) -> Answer:
    """Return an answer without the DSN's keys, which a server may repeat in what it says."""
    headers, body = dict(answer.headers), answer.body
    for key in (dsn.key, dsn.secret or ""):
        if len(key) >= MIN_KEY_LENGTH:
            headers = {name: value.replace(key, "[key]") for name, value in headers.items()}
            body = body.replace(key.encode(), b"[key]")
    return Answer(answer.status, headers, body)


def stamped(body: bytes, sent_at: datetime) -> bytes:
    """Return a stored envelope as it is sent: with ``sent_at``, without the DSN of our own door.

    :param body: in wire form, not compressed.
    :raise ValueError: its first line is no JSON object.
    """
    line, _, items = body.partition(b"\n")
    try:
        headers = json.loads(line)
    except RecursionError as error:
        raise ValueError("the envelope's headers are nested too deep") from error
    if not isinstance(headers, dict):
        raise ValueError("the envelope's headers are no JSON object")
    headers.pop("dsn", None)
    headers["sent_at"] = sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(headers).encode() + b"\n" + items


def _beginning(response: HTTPResponse) -> tuple[bytes, bool]:
    """Read as much of an answer as is looked at; return it, and whether that is all of it."""
    content = b""
    while len(content) < MAX_ANSWER_BYTES:
        part = response.read1(MAX_ANSWER_BYTES)
        if not part:
            return content, True
        content += part
    return content, False


def _new(is_encrypted: bool, host: str, port: int) -> HTTPConnection:
    if is_encrypted:
        return HTTPSConnection(host, port, timeout=TIMEOUT_S, ssl_context=tls_context())
    return HTTPConnection(host, port, timeout=TIMEOUT_S)


def _proxy_for(dsn: Dsn) -> Any:
    proxies = urllib.request.getproxies()
    url = proxies.get(dsn.scheme) or proxies.get("all")
    if not url or urllib.request.proxy_bypass(f"{dsn.host}:{dsn.port}"):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def _proxy_authorization(proxy: Any) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
