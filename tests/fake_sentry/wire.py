"""HTTP/1.1 as far as a fake needs it: requests read from a stream, bodies with their coding undone.

Written by hand, because the fake has to misbehave below what a server of HTTP lets one do, and
has to be much faster than what it is used to measure.
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

# One envelope of Sentry may be 200 MiB, inflated; nothing here is meant to be near it.
MAX_BODY_BYTES = 256 * 2**20


class BadRequest(Exception):
    """The bytes are no HTTP, or their coding cannot be undone."""


@dataclass(frozen=True)
class Request:
    """One request as it came; ``headers`` have lower-case names, the last of a name wins."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def inflated(self) -> bytes:
        """The body with Content-Encoding undone.

        :raise BadRequest: the coding is unknown here, or the bytes are not of that coding.
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
    # "deflate" is zlib by the RFC and raw in the wild.
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
    """Read the next request of a connection.

    :return: ``None`` when the client closed between two requests.
    :raise BadRequest: what came is no HTTP.
    :raise asyncio.IncompleteReadError: the client left in the middle of a request.
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
