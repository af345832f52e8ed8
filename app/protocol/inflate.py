"""Decodes content encodings in small pieces, so that a compression bomb is noticed early.

    file with the compressed bytes ──▶ inflate() ──▶ pieces of some 64 KiB, ``limit`` bytes in all

200 MB fit into 194 KB of gzip, 36 KB of Brotli or 6 KB of Zstandard. So a decoder must never return
the whole body at once. The caller decides what to do with the pieces.

Errors::

    BodyError      the bytes do not match the encoding
    └── BodyTooLarge   the decoded body has more than ``limit`` bytes
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterator
from typing import IO

import brotli
import zstandard

PIECE_BYTES = 64 * 1024
# A Zstandard block of 4 bytes may decode to 128 KiB, and the decoder returns the output of all its
# input at once. With 64 bytes of input, the output stays below 2 MiB.
ZSTD_STEP_BYTES = 64
# Decoders allocate their window before the data. RFC 8878 asks every decoder to support 8 MiB.
ZSTD_WINDOW_BYTES = 8 * 1024**2
# Streams with several members or frames are allowed, but no client sends them. Each member costs a
# copy of the bytes after it, so a million empty members would take minutes.
MAX_MEMBERS = 16


class BodyError(ValueError):
    """The bytes do not match their encoding."""


class BodyTooLarge(BodyError):
    """The body is larger than the limit."""


def inflate(source: IO[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """Yield the decoded bytes of a source, piece by piece.

    :param source: read from its current position to its end.
    :param encoding: the value of ``Content-Encoding``. As in Relay, an unknown encoding is treated
        as no encoding; if the body was encoded, it is not JSON, and the parser reports that.
    :param limit: the maximum size in bytes; a piece beyond it is not yielded.
    :raise BodyTooLarge: the decoded body has more than ``limit`` bytes.
    :raise BodyError: the bytes are damaged or end too early.

    Source: RFC 9110 section 8.4.1, RFC 7932, RFC 8878.
    """
    decode = _DECODERS.get(encoding.strip().lower(), _identity)
    size = 0
    try:
        for piece in decode(source):
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes")
            yield piece
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise BodyError(f"the body is no valid {encoding.strip().lower()}") from error


def inflate_base64(body: bytes, limit: int) -> bytes:
    """Return the decoded bytes of a body that is zlib data in base64.

    Old clients send this to ``/store/`` without a header that says so.

    :raise BodyTooLarge: the decoded body has more than ``limit`` bytes.
    :raise BodyError: the body is not base64, or it contains no zlib data.
    """
    try:
        wire = base64.b64decode(body)
        decoder = zlib.decompressobj()
        inflated = decoder.decompress(wire, limit + 1)
    except (binascii.Error, zlib.error) as error:
        raise BodyError("the body is neither JSON nor base64 of zlib") from error
    if len(inflated) > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")
    if not decoder.eof:
        raise BodyError("the body ends before its zlib does")
    return inflated


def _identity(source: IO[bytes]) -> Iterator[bytes]:
    yield from iter(lambda: source.read(PIECE_BYTES), b"")


def _gzip(source: IO[bytes]) -> Iterator[bytes]:
    return _members(source, lambda: zlib.decompressobj(31))


def _deflate(source: IO[bytes]) -> Iterator[bytes]:
    # "deflate" means zlib, but some clients send raw deflate. The first two bytes tell which it is.
    start = source.tell()
    head = source.read(2)
    source.seek(start)
    is_zlib = len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head) % 31 == 0
    return _members(source, lambda: zlib.decompressobj(15 if is_zlib else -15))


def _members(source: IO[bytes], new: Callable[[], zlib._Decompress]) -> Iterator[bytes]:
    decoder, members = new(), 1
    for wire in _identity(source):
        while wire:
            if decoder.eof:
                decoder, members = new(), members + 1
                if members > MAX_MEMBERS:
                    raise BodyError(f"the body has more than {MAX_MEMBERS} compressed members")
            yield decoder.decompress(wire, PIECE_BYTES)
            wire = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while piece := decoder.decompress(b"", PIECE_BYTES) if not decoder.eof else b"":
        yield piece
    if not decoder.eof:
        raise BodyError("the body ends before its compression does")


def _brotli(source: IO[bytes]) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for wire in _identity(source):
        # This limit is soft: a piece may be some tens of kilobytes longer.
        yield decoder.process(wire, output_buffer_limit=PIECE_BYTES)
        while not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=PIECE_BYTES)
    # The decoder accepts more input while it still has output.
    while piece := decoder.process(b"", output_buffer_limit=PIECE_BYTES):
        yield piece
    if not decoder.is_finished():
        raise BodyError("the body ends before its compression does")


def _zstd(source: IO[bytes]) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    decoder, frames = context.decompressobj(), 1
    for wire in iter(lambda: source.read(ZSTD_STEP_BYTES), b""):
        while wire:
            if decoder.eof:
                decoder, frames = context.decompressobj(), frames + 1
                if frames > MAX_MEMBERS:
                    raise BodyError(f"the body has more than {MAX_MEMBERS} compressed frames")
            yield decoder.decompress(wire)
            wire = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise BodyError("the body ends before its compression does")


_DECODERS: dict[str, Callable[[IO[bytes]], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
