"""The transport for requests to Qdrant and to an embedding API: HTTP over a pool of connections,
with a deadline.

httpx only limits each single wait. A server that sends a byte now and then could hold a thread for
ever. Here all waits of a request share one deadline, and the size of an answer is limited.
Redirects are not followed.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterable

import certifi
import httpcore
import httpx

# A page of ids takes 40 kB. No expected answer of Qdrant is near this limit.
MAX_ANSWER_BYTES = 32 * 1024**2
# The extension of a request with another limit for its answer, in bytes.
MAX_BYTES = "max_answer_bytes"
# Idle connections are closed before a load balancer in between drops them without notice.
KEEPALIVE_S = 20.0


class Deadline(threading.local):
    """The deadline of the request of the current thread."""

    def __init__(self) -> None:
        self.at = float("inf")

    def within(self, seconds: float) -> None:
        """Set the deadline to a number of seconds from now."""
        self.at = time.monotonic() + seconds

    def left(self, timeout_s: float | None, error: type[Exception]) -> float:
        """Return how long to wait, in seconds.

        :param timeout_s: the longest wait; ``None`` for no limit besides the deadline.
        :raise Exception: ``error``, if the deadline is over.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise error("the deadline is over")
        return left if timeout_s is None else min(left, timeout_s)


class DeadlineTransport(httpx.BaseTransport):
    """Sends requests. A failure is raised as the original error of httpcore.

    :param proxy: the proxy of all requests; ``None`` for no proxy.
    """

    def __init__(
        self, deadline: Deadline, max_connections: int, proxy: httpcore.Proxy | None = None
    ) -> None:
        self._deadline = deadline
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(cafile=_authorities()),
            max_connections=max_connections,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=_Backend(deadline),
            proxy=proxy,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole answer."""
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"pool": self._deadline.left(None, httpcore.PoolTimeout)}},
        )
        answer = self._sent(asked)
        try:
            if any(name.lower() == b"content-encoding" for name, _ in answer.headers):
                raise ValueError("the answer is compressed, which was not asked for")
            max_bytes = request.extensions.get(MAX_BYTES, MAX_ANSWER_BYTES)
            body = _bounded(answer.iter_stream(), max_bytes)
        finally:
            answer.close()
        return httpx.Response(answer.status, headers=answer.headers, content=body)

    def _sent(self, asked: httpcore.Request) -> httpcore.Response:
        # The server may close a kept-alive connection just when a request is sent on it. Every
        # request to an index or for vectors may be sent twice.
        try:
            return self._pool.handle_request(asked)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            return self._pool.handle_request(asked)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Backend(httpcore.NetworkBackend):
    """Opens connections. All their waits respect the deadline of the current thread."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class AnswerTooLarge(ValueError):
    """The answer is larger than any expected one. The rest of it was not read."""


def _bounded(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise AnswerTooLarge("the answer is larger than anything that was asked for")
    return bytes(body)


def _authorities() -> str:
    # The same as for exchanges with Sentry (app/delivery/client.py).
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return named or certifi.where()
