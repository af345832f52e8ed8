"""The body of a request: read to its end, inflated, and bounded in both forms.

    stream ──▶ above 1 MiB on the disk ──▶ measured, nothing kept ──▶ in memory, one at a time

Fifty clients that send 20 MiB or a decompression bomb at once must not need fifty times the memory.
A large body waits on the disk. A bomb is detected before any of it is kept in memory. This module
does not handle slow clients: the event loop (app.server) passes only complete requests to threads.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from flask import request
from werkzeug.wsgi import get_input_stream

from app.ingest.answers import RETRY_AFTER_S, Refusal
from app.protocol.inflate import BodyError, BodyTooLarge, inflate
from app.web.current import current_config

# The largest compressed bodies that SDKs send in practice: attachments 20 MiB, replays 10 MiB.
MAX_WIRE_BYTES = 20 * 1024**2
# Twice the wire size. JSON, which compresses tenfold, has an additional limit for each item.
MAX_INFLATED_BYTES = 40 * 1024**2
# Ordinary events never wait for a large one: their median is 5 kB, and the largest event of a real
# SDK without attachments has 560 kB. Four threads of a process then hold a few MiB.
SMALL_BYTES = 1024**2
# Every JSON value takes about 100 bytes of memory. So a body with many values counts as large, even
# if it is short.
SMALL_VALUES = 20_000
# Large bodies are processed one after the other, in less than a second each. A request that waits
# occupies one of the eight threads, so only a few may wait. Requests with more than 1 MiB on the
# wire come one at a time anyway (app.server.loop).
TURN_TIMEOUT_S = 15.0
MAX_WAITING = 4
STEP_BYTES = 64 * 1024

_turn = threading.BoundedSemaphore(1)
_waiting = threading.BoundedSemaphore(MAX_WAITING)


@contextmanager
def read_body() -> Iterator[bytearray]:
    """Yield the inflated body of the request. Only one large body is in memory at a time.

    :raise Refusal: 400 the body is damaged; 413 it is too large on the wire or inflated; 503 too
        many large bodies wait.
    """
    encoding = request.headers.get("Content-Encoding", "")
    with tempfile.SpooledTemporaryFile(SMALL_BYTES, dir=str(current_config().DATA_DIR)) as wire:
        _receive(wire)
        small = _small(wire, encoding)
        if small is not None:
            yield small
            return
        _wait_for_thread()
        try:
            yield _large(wire, encoding)
        finally:
            _turn.release()


def _wait_for_thread() -> None:
    if _turn.acquire(blocking=False):
        return
    if _waiting.acquire(blocking=False):
        try:
            if _turn.acquire(timeout=TURN_TIMEOUT_S):
                return
        finally:
            _waiting.release()
    raise Refusal(503, "too many large bodies at once", retry_after_s=RETRY_AFTER_S)


def _receive(wire: IO[bytes]) -> None:
    """Write the stream to a file, at most :data:`MAX_WIRE_BYTES`."""
    declared = request.content_length
    # Bypass MAX_CONTENT_LENGTH: the limit of other routes is smaller, and truncates chunked bodies.
    stream, size = get_input_stream(request.environ), 0
    while piece := _read(stream):
        size += len(piece)
        if size > MAX_WIRE_BYTES or (declared or 0) > MAX_WIRE_BYTES:
            raise Refusal(413, "the body is too large", f"at most {MAX_WIRE_BYTES} bytes")
        _write(wire, piece)
    if declared is not None and size < declared:
        raise Refusal(400, "the body ends before its length", is_read=False)


def _write(wire: IO[bytes], piece: bytes) -> None:
    try:
        wire.write(piece)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise Refusal(
            503,
            "there is no room for the body at the moment",
            cause,
            retry_after_s=RETRY_AFTER_S,
            is_read=False,
        ) from error


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(STEP_BYTES)
    except Exception as error:
        # Each server has its own errors for an invalid chunk or a client that disconnected.
        raise Refusal(
            400, "the body cannot be read", type(error).__name__, is_read=False
        ) from error


def _small(wire: IO[bytes], encoding: str) -> bytearray | None:
    """Return the body, or ``None`` as soon as it proves to be large."""
    body, values = bytearray(), 0
    for piece in _inflated(wire, encoding):
        body += piece
        values += piece.count(b",")
        if len(body) > SMALL_BYTES or values > SMALL_VALUES:
            return None
    return body


def _large(wire: IO[bytes], encoding: str) -> bytearray:
    # Inflate once to check the limit without keeping anything, and once more to get the content.
    for _ in _inflated(wire, encoding):
        pass
    body = bytearray()
    for piece in _inflated(wire, encoding):
        body += piece
    return body


def _inflated(wire: IO[Any], encoding: str) -> Iterator[bytes]:
    wire.seek(0)
    try:
        yield from inflate(wire, encoding, MAX_INFLATED_BYTES)
    except BodyTooLarge as error:
        raise Refusal(413, "the body is too large", str(error)) from error
    except BodyError as error:
        raise Refusal(400, "the body is malformed", str(error)) from error
