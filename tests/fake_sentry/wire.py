"""The part of HTTP/1.1 that a fake needs: read requests from a stream, and decode their bodies.

It is written by hand because the fake has to misbehave in ways that an HTTP server does not allow,
and has to be much faster than the service that it measures.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

try:
    import brotli
except ImportError:
    brotli = None

# Sentry allows envelopes of 200 MiB, inflated. The envelopes of the tests are much smaller.
MAX_BODY_BYTES = 256 * 2**20


class BadRequest(Exception):
    """The bytes are not HTTP, or the body cannot be decoded."""


@dataclass(frozen=True)
class Request:
    """A request; names of ``headers`` are lower-case, and the last header of a name wins."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def inflated(self) -> bytes:
        """Return the body after Content-Encoding was undone.

        :raise BadRequest: the encoding is unknown here, or the bytes do not have that encoding.
        """
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        decode = DECODERS.get(coding)
        if decode is None:
            raise BadRequest(f"content encoding {coding} is unknown")
        try:
            return decode(self.body)
        except Exception as error:
            raise BadRequest(f"body is no {coding}: {error}") from error

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


def _inflate(body: bytes) -> bytes:
    # "deflate" means zlib in the RFC, but some clients send raw deflate.
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, -zlib.MAX_WBITS)


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "": bytes,
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": _inflate,
}
if brotli is not None:
    DECODERS["br"] = brotli.decompress


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request of a connection.

    :return: ``None`` if the client closed the connection between two requests.
    :raise BadRequest: the bytes are not HTTP.
    :raise asyncio.IncompleteReadError: the client disconnected in the middle of a request.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    method, target, headers = _parse_head(head)
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    return Request(method, url.path, query, headers, await _read_body(reader, headers))


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    request_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, _ = request_line.split(" ")
    except ValueError:
        raise BadRequest(f"request line {request_line[:80]!r}") from None
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, target, headers


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    length = _size(headers.get("content-length", "0"), 10)
    return await reader.readexactly(length) if length else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size((await _read_line(reader)).partition(";")[0], 16):
        if len(body) + size > MAX_BODY_BYTES:
            raise BadRequest("body is too large for a fake")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await _read_line(reader):
        pass
    return bytes(body)


async def _read_line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n"))[:-2].decode("latin-1")


def _size(digits: str, base: int) -> int:
    try:
        size = int(digits, base)
    except ValueError:
        raise BadRequest(f"length {digits[:20]!r}") from None
    if not 0 <= size <= MAX_BODY_BYTES:
        raise BadRequest("body is too large for a fake")
    return size
