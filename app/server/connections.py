"""The connection of one client. It collects a request until the request is complete."""

from __future__ import annotations

import contextlib
import enum
import io
import socket
import tempfile
import time
from typing import IO, Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from app.server.answers import AnswerSocket
from app.server.batches import Complete
from app.server.framing import ChunkScanner, FramingError, end_of_head
from app.server.limits import Limits, Room, peer_of

IN_MEMORY_BYTES = 1024**2
# The piece sizes for a body with a length, and for a chunked body. For every chunk that gunicorn
# parses, it copies what it has read ahead, so it gets chunked bodies in small pieces.
PIECE_BYTES, CHUNKED_PIECE_BYTES = 64 * 1024, 8 * 1024
# How much of a body may arrive before the application checks the head.
UNCHECKED_BYTES = 64 * 1024


class State(enum.Enum):
    """The states of a connection."""

    HEAD = "head"
    BODY = "body"
    THREAD = "thread"  # A thread checks the head or answers the request.
    SENDING = "sending"
    LINGERING = "lingering"
    CLOSED = "closed"


class NoRoom(Exception):
    """Too many bytes are kept, for this peer or in total, or the disk is full."""


class RequestSource(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """Gives gunicorn's parser one complete request: its head, then its body, then the end."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self._head = head
        self.body: IO[bytes] | None = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece of the request, empty at its end."""
        if self._head:
            head, self._head = self._head, b""
            return head
        if self.body is None:
            return b""
        return self.body.read(
            CHUNKED_PIECE_BYTES if size_hint is None else min(size_hint, PIECE_BYTES)
        )


class Connection:
    """One client's connection. The first half is the interface for `ThreadWorker.handle`.

    :ivar watched: the socket events that the loop waits for: 1 to read, 2 to write, 0 none.
    :ivar is_counted: whether it counts as a connection of its peer. A lingering one does not.
    :ivar deadline: when the connection is ended unless its state changes, by
        ``time.monotonic()``.
    """

    is_http2, initialized, data_ready = False, True, True

    def __init__(
        self,
        sock: socket.socket,
        client: Any,
        server: Any,
        *,
        cfg: Any,
        limits: Limits,
        room: Room,
        folder: str,
    ) -> None:
        sock.setblocking(False)
        self.raw, self.client, self.server = sock, client, server
        self.peer = peer_of(client)
        self.sock = AnswerSocket(sock, room, self.peer, folder)
        self.parser = self
        self._cfg, self._limits, self._room, self._folder = cfg, limits, room, folder
        self.buffer = bytearray()
        self.watched = 0
        self.is_counted = False
        self.is_at_end = False
        self.stays_open = False
        self.lingered_bytes = 0
        self._requests = 0
        self._charged = 0
        self._body: IO[bytes] | None = None
        self.state = State.HEAD
        self.since = time.monotonic()
        self.deadline = self.since + limits.head_s
        self._start_request()

    # ---- for gunicorn's worker ------------------------------------------------------------------

    def init(self) -> None:
        """Do nothing. The loop has initialized everything."""

    def __next__(self) -> Request:
        """Return the request.

        :raise Exception: the error of gunicorn's parser, for an invalid head or body.
        """
        if self.error is not None:
            raise self.error
        return self.request

    def finish_body(self, deadline: float | None = None) -> bool:
        """Return whether gunicorn's parser found the end of the request where the loop did.

        They can differ for chunked bodies only. Otherwise the loop uses the length of the parser.
        """
        if self.scanner is None:
            return True
        try:
            while self.request.body.read(PIECE_BYTES):
                pass
        except Exception:
            return False
        return not self.source.take_buffered() and not self.source.chunk()

    # ---- for the loop ---------------------------------------------------------------------------

    def enter(self, state: State, lasts_s: float) -> None:
        """Change the state, and set the deadline.

        :param lasts_s: how long the state may last, in seconds.
        """
        self.state = state
        self.since = time.monotonic()
        self.deadline = self.since + lasts_s

    def _start_request(self) -> None:
        self.source: RequestSource
        self.request: Any = None
        self.error: Exception | None = None
        self.scanner: ChunkScanner | None = None
        self.size = 0
        self.length = 0
        self.max_bytes: int | None = None
        self.expects_continue = False
        self._searched = 0

    def next_request(self) -> None:
        """Discard the answered request. Data that arrived after it belongs to the next request."""
        self._release()
        self._start_request()

    @property
    def is_silent(self) -> bool:
        """Whether no part of a request has arrived."""
        return self.state is State.HEAD and not self.buffer

    @property
    def received(self) -> int:
        """Bytes of the body that have arrived or were announced."""
        return self.scanner.received if self.scanner is not None else self.size

    def is_slow(self, now: float) -> bool:
        """Whether its body arrives at less than the minimum rate."""
        lasts_s = now - self.since
        return lasts_s > self._limits.grace_s and self.size < self._limits.min_bytes_per_s * lasts_s

    def receive(self) -> bool:
        """Move received data into the request. Return whether it is complete, or is invalid.

        :raise NoRoom: the data cannot be kept.
        """
        if self.request is None and self.error is None and not self._take_head():
            return False
        if self.error is not None:
            return True
        if self.scanner is not None:
            return self._take_chunks(self.scanner)
        self._keep(min(len(self.buffer), self.length - self.size))
        return self.size == self.length

    def _take_head(self) -> bool:
        try:
            end = end_of_head(self.buffer, self._searched)
        except FramingError as error:
            self.error = InvalidHeader(str(error))
            return True
        self._searched = len(self.buffer)
        if self._has_long_line():
            self.error = LimitRequestLine(len(self.buffer), self._limits.line_bytes)
            return True
        if end is None or end > self._limits.head_bytes:
            if len(self.buffer) > self._limits.head_bytes:
                self.error = LimitRequestHeaders("limit request headers fields size")
            return self.error is not None
        head = bytes(self.buffer[:end])
        del self.buffer[:end]
        self._requests += 1
        self.source = RequestSource(head)
        try:
            self.request = Request(self._cfg, self.source, self.client, self._requests)
        except Exception as error:
            self.error = error  # A thread answers with this error, as gunicorn does.
            return True
        self._begin_body()
        return True

    def _has_long_line(self) -> bool:
        """Whether the request line is longer than its limit; gunicorn's own ends at 8,190."""
        most = self._limits.line_bytes
        return len(self.buffer) > most + 1 and self.buffer.find(b"\r\n", 0, most + 2) < 0

    def _begin_body(self) -> None:
        reader = self.request.body.reader
        if isinstance(reader, ChunkedReader):
            self.scanner = ChunkScanner()
        else:
            self.length = reader.length
        self.expects_continue = self.request._expected_100_continue
        # Otherwise gunicorn would ask for the body again after it has arrived.
        self.request._expected_100_continue = False
        self.enter(State.BODY, self._limits.body_s)

    def _take_chunks(self, scanner: ChunkScanner) -> bool:
        try:
            self._keep(scanner.feed(bytes(self.buffer)))
        except FramingError as error:
            self.error = InvalidHeader(str(error))
            return True
        return scanner.is_whole

    def _keep(self, size: int) -> None:
        if size <= 0:
            return
        if not self._room.take(self.peer, size):
            raise NoRoom
        self._charged += size
        if self._body is None:
            self._body = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=self._folder)
        try:
            self._body.write(self.buffer[:size])
        except OSError as error:
            raise NoRoom from error
        del self.buffer[:size]
        self.size += size

    def rewind(self) -> None:
        """Make the parser read the body from its start."""
        if self._body is not None:
            self._body.seek(0)
            self.source.body = self._body

    def complete(self) -> Complete:
        """Return the complete request. Its body can be read from the request again."""
        headers: dict[str, str] = {}
        for name, text in self.request.headers:
            headers[name] = f"{headers[name]},{text}" if name in headers else text
        client = self.client if isinstance(self.client, str) else self.client[0]
        return Complete(
            self.request.path, self.request.query, headers, self._whole_body(), str(client)
        )

    def _whole_body(self) -> bytes:
        try:
            if self.scanner is not None:
                body = bytes(self.request.body.read())
            else:
                body = self._body.read() if self._body is not None else b""
        except Exception as error:
            self.request.body = _Unreadable(error)
            return b""
        self.request.body = io.BytesIO(body)
        return body

    def _release(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body = None
        self._room.give_back(self.peer, self._charged)
        self._charged = 0

    def close(self) -> None:
        """Close the socket and discard all data of the connection."""
        self.state = State.CLOSED
        self._release()
        self.sock.discard()
        with contextlib.suppress(OSError):
            self.raw.close()


class _Unreadable:
    """The body of a request that gunicorn's parser could not read: the same error once more."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int | None = None) -> bytes:
        raise self._error
