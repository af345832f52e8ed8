"""The body of a request: read to its end, inflated, and bounded in both forms.

    stream ──▶ above 1 MiB on the disk ──▶ measured, nothing kept ──▶ in memory, one at a time

Fifty clients that send 20 MiB or a bomb at once must not need fifty times the memory: what is large
waits for its turn on the disk, and a bomb is found out before any of it is kept.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from flask import request
from werkzeug.wsgi import get_input_stream

from app.ingest.answers import RETRY_AFTER_S, Refusal
from app.ingest.patience import Reading, patience
from app.protocol.inflate import BodyError, BodyTooLarge, inflate
from app.services import services

# What SDKs send at most in practice: attachments of 20 MiB, replays of 10 MiB, compressed.
MAX_WIRE_BYTES = 20 * 1024**2
# Twice that; JSON, which shrinks tenfold, is bounded item by item besides.
MAX_INFLATED_BYTES = 40 * 1024**2
# Ordinary events (median 5 kB, the largest of a real SDK without attachments 560 kB) never wait for
# a large one. Four threads of a process then hold a few MiB.
SMALL_BYTES = 1024**2
# Every value of JSON takes some 100 bytes of memory: what has many is large, short as it may be.
SMALL_VALUES = 20_000
# In turn, a large one takes less than a second each.
TURN_TIMEOUT_S = 15.0
# A client that is still sending does not read; cut off, it would see a broken connection and not
# the 413. So its rest is read and thrown away, but not for ever.
DRAIN_S = 2.0
# A read waits until it has all that it asked for, so the first ones ask for little: what arrived is
# to be seen. Later ones may wait, since what was received by then counts.
FIRST_STEPS_BYTES = 64 * 1024
STEP_BYTES, FIRST_STEP_BYTES = 64 * 1024, 4096

_turn = threading.BoundedSemaphore(1)


@contextmanager
def read_body() -> Iterator[bytearray]:
    """Yield the request's body, inflated; a large one only while no other large one is there.

    :raise Refusal: 400 it is damaged; 408 it came too slowly; 413 it is too large on the wire or
        inflated; 503 too many large ones wait.
    """
    encoding = request.headers.get("Content-Encoding", "")
    with tempfile.SpooledTemporaryFile(SMALL_BYTES, dir=str(services().config.DATA_DIR)) as wire:
        _receive(wire)
        small = _small(wire, encoding)
        if small is not None:
            yield small
            return
        if not _turn.acquire(timeout=TURN_TIMEOUT_S):
            raise Refusal(503, "too many large bodies at once", retry_after_s=RETRY_AFTER_S)
        try:
            yield _large(wire, encoding)
        finally:
            _turn.release()


def discard_body() -> None:
    """Read what the client still sends and throw it away, so that it sees the answer."""
    with patience.reading(request.environ.get("gunicorn.socket")) as reading:
        _drain(_stream(), reading)


def _receive(wire: IO[bytes]) -> None:
    """Write the stream to a file, at most :data:`MAX_WIRE_BYTES` of it."""
    declared = request.content_length
    stream, size = _stream(), 0
    with patience.reading(request.environ.get("gunicorn.socket")) as reading:
        while piece := _read(stream, reading):
            size += len(piece)
            reading.received = size
            if size > MAX_WIRE_BYTES or (declared or 0) > MAX_WIRE_BYTES:
                _drain(stream, reading)
                raise Refusal(
                    413, "the body is too large", f"at most {MAX_WIRE_BYTES} bytes", is_read=False
                )
            _write(wire, piece)
    if reading.expired:
        raise Refusal(408, "the body came too slowly", is_read=False)
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


def _stream() -> IO[bytes]:
    # Past MAX_CONTENT_LENGTH: the limit of other routes is smaller, and cuts chunked bodies.
    return get_input_stream(request.environ)


def _read(stream: IO[bytes], reading: Reading) -> bytes:
    try:
        is_first = reading.received < FIRST_STEPS_BYTES
        return stream.read(FIRST_STEP_BYTES if is_first else STEP_BYTES)
    except Exception as error:
        # Each server has errors of its own for a chunk that is none or a client that is gone.
        if reading.expired:
            raise Refusal(408, "the body came too slowly", is_read=False) from error
        raise Refusal(
            400, "the body cannot be read", type(error).__name__, is_read=False
        ) from error


def _drain(stream: IO[bytes], reading: Reading) -> None:
    reading.started = time.monotonic()
    reading.received = MAX_WIRE_BYTES  # Neither slow nor read in small steps: it has DRAIN_S.
    end = reading.started + DRAIN_S
    try:
        while not reading.expired and time.monotonic() < end and _read(stream, reading):
            pass
    except Refusal:
        return  # It is being refused already.


def _small(wire: IO[bytes], encoding: str) -> bytearray | None:
    """Return the body, ``None`` as soon as it turns out to be large."""
    body, values = bytearray(), 0
    for piece in _inflated(wire, encoding):
        body += piece
        values += piece.count(b",")
        if len(body) > SMALL_BYTES or values > SMALL_VALUES:
            return None
    return body


def _large(wire: IO[bytes], encoding: str) -> bytearray:
    # Once to see that it is within the limit, keeping nothing, and once to have it.
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
