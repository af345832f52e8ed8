"""Questions to Sentry's API: GET requests with a time limit and a limit for the answer.

A redirect is not followed, since the token would go with it. The answer is not decompressed, so
that it costs no more than its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pycurl

from app.confirmation.apis import Api
from app.delivery.client import (
    CLIENT,
    CheckAddress,
    CheckedSockets,
    cause_of,
    headers_of,
    new_handle,
    trust_and_proxy,
)
from app.delivery.policy import Failure

# The limit for the whole exchange, in seconds.
DEADLINE_S = 10
# Sentry's own limit for an event is 1 MiB.
MAX_ANSWER_BYTES = 2 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
WAIT_S = 0.1


class Request(NamedTuple):
    """One question: a path of an API."""

    api: Api
    path: str
    check: CheckAddress | None = None


class Reply(NamedTuple):
    """An HTTP answer.

    :param headers: names in lower case.
    :param is_cut: whether the body is longer than :data:`MAX_ANSWER_BYTES`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    is_cut: bool = False


def ask(
    requests: Sequence[Request], is_stopping: Callable[[], bool] = lambda: False
) -> list[Reply | Failure | None]:
    """Send requests at the same time, and return their answers in order.

    :param is_stopping: ends everything at once; what has no answer then is ``None``.
    """
    multi, exchanges = pycurl.CurlMulti(), [_Exchange(request) for request in requests]
    try:
        for exchange in exchanges:
            multi.add_handle(exchange.curl)
        running = len(exchanges)
        while running and not is_stopping():
            _, running = multi.perform()
            _note_ended(multi, exchanges)
            if running and multi.select(WAIT_S) < 0:
                time.sleep(WAIT_S / 10)  # No socket yet: the name of the host is being resolved.
        return [exchange.result for exchange in exchanges]
    finally:
        for exchange in exchanges:
            multi.remove_handle(exchange.curl)
            exchange.curl.close()
        multi.close()


def _note_ended(multi: pycurl.CurlMulti, exchanges: list[_Exchange]) -> None:
    by_handle = {exchange.curl: exchange for exchange in exchanges}
    more = 1
    while more:
        more, ended, failed = multi.info_read()
        for curl in ended:
            by_handle[curl].end()
        for curl, error, message in failed:
            by_handle[curl].end(error, message)


class _Exchange:
    def __init__(self, request: Request) -> None:
        address = request.api.address
        self.curl = curl = new_handle(f"{address.origin}{address.prefix}{request.path}")
        trust_and_proxy(curl, address)
        self._sockets = CheckedSockets(curl, address, request.check)
        self._header_lines: list[bytes] = []
        self._header_bytes = 0
        self._parts: list[bytes] = []
        self._size = 0
        self.result: Reply | Failure | None = None
        for option, value in (
            (pycurl.HTTPGET, True),
            (pycurl.TIMEOUT, DEADLINE_S),
            (pycurl.FORBID_REUSE, True),
            (pycurl.HEADERFUNCTION, self._take_header_line),
            (pycurl.WRITEFUNCTION, self._take_part),
            (
                pycurl.HTTPHEADER,
                [
                    f"Authorization: Bearer {request.api.token}",
                    "Accept: application/json",
                    f"User-Agent: {CLIENT}",
                ],
            ),
        ):
            curl.setopt(option, value)

    def end(self, error: int = pycurl.E_OK, message: str = "") -> None:
        is_cut = error == pycurl.E_WRITE_ERROR and self._size > MAX_ANSWER_BYTES
        if error != pycurl.E_OK and not is_cut:
            refused = self._sockets.refused
            cause = f"not asked: {refused}" if refused else cause_of(self.curl, error, message)
            self.result = Failure(cause)
            return
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        body = b"" if is_cut else b"".join(self._parts)
        self.result = Reply(status, headers_of(self._header_lines), body, is_cut)

    def _take_header_line(self, line: bytes) -> int:
        if line.startswith(b"HTTP/"):
            self._header_lines = []  # Drop the headers of a proxy or of an interim answer.
        self._header_bytes += len(line)
        self._header_lines.append(line)
        return len(line) if self._header_bytes <= MAX_HEADER_BYTES else 0

    def _take_part(self, part: bytes) -> int:
        self._size += len(part)
        self._parts.append(part)
        return len(part) if self._size <= MAX_ANSWER_BYTES else 0
