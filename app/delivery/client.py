"""One exchange with Sentry: send an envelope and read the answer, or the cause of a failure.

libcurl does the HTTP. One thread drives all its connections (:mod:`app.delivery.exchanges`). This
costs half the CPU of one thread with :mod:`http.client` for each connection.

Certificates are verified against the authorities of ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE``,
otherwise against those of certifi. The proxy comes from ``HTTPS_PROXY``, ``HTTP_PROXY`` and
``NO_PROXY``. The SDK and other clients use the same variables.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import ssl
import urllib.request
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import certifi
import pycurl

from app.delivery.policy import Answer, Failure
from app.protocol.addresses import AddressError
from app.protocol.dsn import Dsn

CheckAddress = Callable[[str], None]

# The limit for a single wait: for the connection, or for the next bytes of the answer. A Sentry
# that needs longer has a problem, and the envelope is safe in the store.
TIMEOUT_S = 10
# The limit for the whole exchange. It protects against an answer that arrives byte by byte.
DEADLINE_S = 30
MAX_ANSWER_BYTES = 65_536
# Keys are 32 hex digits. A shorter string than this is not a secret and may occur in any word.
MIN_KEY_LENGTH = 8
CLIENT = "devenviro/1"
INSTANCE_HEADER = "X-DevEnviro-Instance"
# Sentry takes the address in this header as the sender's address, instead of ours.
FORWARDED_HEADER = "X-Sentry-Forwarded-For"
# Level 1 costs a sixth of the CPU of level 9 and gives an eighth more bytes (a 20 KB event).
GZIP_LEVEL = 1
# CURLOPT_QUICK_EXIT; pycurl has no name for it. With it, closing a handle does not wait until a
# running DNS lookup ends. Source: https://curl.se/libcurl/c/CURLOPT_QUICK_EXIT.html.
QUICK_EXIT = 322


class Origin(NamedTuple):
    """Where an envelope came from.

    :param via: the instances that the envelope passed before, separated by commas.
    :param address: of the envelope's sender. It and ``user_agent`` are set only where the envelope
        asks for them.
    """

    via: str | None = None
    address: str | None = None
    user_agent: str | None = None


class _Copied(socket.socket):
    """A socket that curl copies. The original closes when no reference to it is left."""

    def __del__(self) -> None:
        self.close()


class CheckedSockets:
    """Opens the sockets of curl's connections to allowed addresses only.

    The check is made for the address of each new connection. So a DNS name whose answer changes
    cannot lead to another address. It is not made if a proxy is set, because then the proxy
    resolves the name.

    :param check: raises ``AddressError`` for an address that connections may not be made to.
    :ivar refused: why the last connection was not made; empty if it was.
    """

    def __init__(self, curl: pycurl.Curl, target: Dsn, check: CheckAddress | None) -> None:
        self._check, self.refused = check, ""
        if check is not None and _proxy_for(target) is None:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def _open(self, purpose: int, address: Any) -> Any:
        """Open the socket of a connection if its address is allowed. curl copies the socket."""
        family, kind, protocol, where = address
        try:
            if self._check is not None:
                self._check(str(where[0]))
            return _Copied(family, kind, protocol)
        except (AddressError, OSError) as error:
            self.refused = str(error)
            return pycurl.SOCKET_BAD


class Line:
    """One curl handle for exchanges with one DSN, one exchange at a time.

    :param instance_id: of this store. It lets us recognise our own envelopes if they come back.
    :param check: as for :class:`CheckedSockets`.
    """

    def __init__(self, dsn: Dsn, instance_id: str, check: CheckAddress | None = None) -> None:
        self._dsn = dsn
        self._instance_id = instance_id
        self._body = io.BytesIO()
        self._header_lines: list[bytes] = []
        self._content = b""
        self.curl = new_handle(f"{dsn.origin}{dsn.path}")
        trust_and_proxy(self.curl, dsn)
        self._sockets = CheckedSockets(self.curl, dsn, check)
        self.curl.setopt(pycurl.READFUNCTION, lambda size: self._body.read(size))
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header_line)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_content)

    def load(self, body: bytes, origin: Origin, *, is_fresh: bool = False) -> None:
        """Prepare the handle to send an envelope.

        :param body: the result of :func:`stamped`.
        :param is_fresh: open a new connection. Set it if a kept-alive connection has ended: curl
            checks for ended connections only once a second.
        """
        data = zlib.compress(body, GZIP_LEVEL, wbits=31)
        self._body, self._header_lines, self._content = io.BytesIO(data), [], b""
        self._sockets.refused = ""
        self.curl.setopt(pycurl.POSTFIELDSIZE, len(data))
        self.curl.setopt(pycurl.HTTPHEADER, self._headers(origin))
        self.curl.setopt(pycurl.USERAGENT, origin.user_agent or CLIENT)
        self.curl.setopt(pycurl.FRESH_CONNECT, is_fresh)

    def result(self, error: int = pycurl.E_OK, message: str = "") -> Answer | Failure:
        """Return the result of the exchange that has ended.

        :param error: curl's error number; ``message`` is its text.
        """
        # A write error is our own: we stop reading an answer at MAX_ANSWER_BYTES.
        if error not in (pycurl.E_OK, pycurl.E_WRITE_ERROR):
            refused = f"not sent: {self._sockets.refused}" if self._sockets.refused else ""
            return Failure(refused or cause_of(self.curl, error, message))
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        return without_keys(
            Answer(status, headers_of(self._header_lines), self._content), self._dsn
        )

    def close(self) -> None:
        """Close the connection. This ends a running exchange."""
        self.curl.close()

    def _headers(self, origin: Origin) -> list[str]:
        forwarded = f"{FORWARDED_HEADER}: {origin.address}" if origin.address else ""
        return [
            *filter(None, [forwarded]),
            "Content-Type: application/x-sentry-envelope",
            "Content-Encoding: gzip",
            f"X-Sentry-Auth: {self._dsn.authorization(CLIENT)}",
            f"{INSTANCE_HEADER}: {', '.join(filter(None, (origin.via, self._instance_id)))}",
            "Accept:",
            # Without this header, curl would wait for "100 Continue" before it sends the body.
            "Expect:",
        ]

    def _take_header_line(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self._header_lines = []  # Drop the headers of a proxy or of "100 Continue".
        self._header_lines.append(line)

    def _take_content(self, part: bytes) -> int:
        self._content += part[: MAX_ANSWER_BYTES - len(self._content)]
        return len(part) if len(self._content) < MAX_ANSWER_BYTES else 0


_DNS = "DNS: the name of the host does not resolve"
_CLOSED = "the connection was closed without an answer"
_RESET = "the connection was reset"
_NO_HTTP = "what answers does not speak HTTP"
_CAUSES = {
    pycurl.E_COULDNT_RESOLVE_HOST: _DNS,
    pycurl.E_COULDNT_RESOLVE_PROXY: "DNS: the name of the proxy does not resolve",
    pycurl.E_COULDNT_CONNECT: "connection refused: nothing listens there",
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_GOT_NOTHING: _CLOSED,
    # curl wants to send the body again when a kept-alive connection has ended. It cannot, because
    # we offer no way to rewind the body: every attempt must be recorded in the ledger.
    pycurl.E_SEND_FAIL_REWIND: _CLOSED,
    pycurl.E_RECV_ERROR: _RESET,
    pycurl.E_SEND_ERROR: _RESET,
    pycurl.E_PARTIAL_FILE: "the answer is no whole HTTP answer",
    # CURLE_WEIRD_SERVER_REPLY, which pycurl knows by its old name.
    pycurl.E_FTP_WEIRD_SERVER_REPLY: _NO_HTTP,
    pycurl.E_UNSUPPORTED_PROTOCOL: _NO_HTTP,
}
_TLS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
    }
)


def cause_of(curl: pycurl.Curl, error: int, message: str) -> str:
    """Return in words why an exchange had no answer. The text contains no address and no key.

    :param error: curl's error number; ``message`` is its text.
    """
    if error in _TLS:
        return f"TLS: {message.removeprefix('SSL certificate problem: ') or 'failed'}"
    answered = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    if answered // 100 not in (0, 2):
        return f"the proxy answers {answered}"
    number = curl.getinfo(pycurl.OS_ERRNO)
    if error == pycurl.E_COULDNT_CONNECT and number not in (0, errno.ECONNREFUSED):
        return f"not reached: {os.strerror(number)}"
    return _CAUSES.get(error, f"not reached: {message or error}")


def authorities() -> str:
    """Return the path of the file with the authorities that certificates are verified against."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return named or certifi.where()


def tls_context() -> ssl.SSLContext:
    """Return an SSL context that trusts the same authorities as an exchange."""
    return ssl.create_default_context(cafile=authorities())


def without_keys(answer: Answer, dsn: Dsn) -> Answer:
    """Return an answer with the DSN's keys replaced. A server may repeat them in its answer."""
    headers, body = dict(answer.headers), answer.body
    for key in (dsn.key, dsn.secret or ""):
        if len(key) >= MIN_KEY_LENGTH:
            headers = {name: value.replace(key, "[key]") for name, value in headers.items()}
            body = body.replace(key.encode(), b"[key]")
    return Answer(answer.status, headers, body)


def stamped(body: bytes, sent_at: datetime) -> bytes:
    """Return a stored envelope as it is sent: with ``sent_at`` and without the header ``dsn``.

    :param body: in wire form, not compressed. Its ``dsn`` is that of our ingest routes.
    :raise ValueError: the first line of the envelope is not a JSON object.
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


def new_handle(url: str) -> pycurl.Curl:
    """Return a curl handle that posts to a URL with time limits and does not follow redirects."""
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.URL, url),
        (pycurl.POST, True),
        (pycurl.USERAGENT, CLIENT),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.HTTP09_ALLOWED, False),
        (pycurl.FOLLOWLOCATION, False),
        (pycurl.NOSIGNAL, True),
        (QUICK_EXIT, True),
        (pycurl.CONNECTTIMEOUT, TIMEOUT_S),
        (pycurl.LOW_SPEED_LIMIT, 1),
        (pycurl.LOW_SPEED_TIME, TIMEOUT_S),
        (pycurl.TIMEOUT, DEADLINE_S),
    ):
        curl.setopt(option, value)
    return curl


def trust_and_proxy(curl: pycurl.Curl, dsn: Dsn) -> None:
    """Set the authorities that certificates are verified against, and the proxy to a host."""
    curl.setopt(pycurl.CAINFO, authorities())
    proxy = _proxy_for(dsn)
    # An empty value keeps curl from reading the variables itself. It reads them differently from
    # the other clients.
    curl.setopt(pycurl.PROXY, f"{proxy.hostname}:{proxy.port or 3128}" if proxy else "")
    if proxy and proxy.username is not None:
        curl.setopt(pycurl.PROXYUSERNAME, unquote(proxy.username))
        curl.setopt(pycurl.PROXYPASSWORD, unquote(proxy.password or ""))


def _proxy_for(dsn: Dsn) -> Any:
    proxies = urllib.request.getproxies()
    url = proxies.get(dsn.scheme) or proxies.get("all")
    if not url or urllib.request.proxy_bypass(f"{dsn.host}:{dsn.port}"):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def headers_of(lines: list[bytes]) -> dict[str, str]:
    """Return headers by lower-case name. A header that came twice becomes one comma-separated
    list, as HTTP defines it.
    """
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
