"""One client's connection: what has arrived of its request, until that is whole."""

from __future__ import annotations

import contextlib
import enum
import socket
import tempfile
import time
from typing import IO, Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from app.server.answers import AnswerSocket
from app.server.framing import ChunkScanner, FramingError, end_of_head
from app.server.limits import Limits, Room, peer_of

IN_MEMORY_BYTES = 1024**2
# Of a body with a length. gunicorn copies what it has read ahead for every chunk it takes out of
# it, so chunked bodies are given in small pieces.
PIECE_BYTES, CHUNKED_PIECE_BYTES = 64 * 1024, 8 * 1024
# As much may arrive before the application was asked about the head.
UNCHECKED_BYTES = 64 * 1024


class State(enum.Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    THREAD = "thread"  # The head is being checked or the request answered.
    SENDING = "sending"
    LINGERING = "lingering"
    CLOSED = "closed"


class NoRoom(Exception):
    """Too much is kept already, for this peer or in all, or the disk is full."""


class RequestSource(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """Gives gunicorn's parser one whole request: its head, then its body, then the end."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self._head = head
        self.body: IO[bytes] | None = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece."""
        if self._head:
            head, self._head = self._head, b""
            return head
        if self.body is None:
            return b""
        return self.body.read(
            CHUNKED_PIECE_BYTES if size_hint is None else min(size_hint, PIECE_BYTES)
        )


class Connection:
    """One client's connection. Its first half is what gunicorn's `ThreadWorker.handle` expects.

    :ivar watched: what the loop waits for at the socket: 1 to read, 2 to write, 0 nothing.
    :ivar is_counted: whether it counts among its peer's; one that lingers does not.
    :ivar deadline: when it is ended unless it has got further, by ``time.monotonic()``.
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
        """Do nothing: the loop has made everything."""

    def __next__(self) -> Request:
        """Return the request.

        :raise Exception: gunicorn's own, for a head or a body that is wrong.
        """
        if self.error is not None:
            raise self.error
        return self.request

    def finish_body(self, deadline: float | None = None) -> bool:
        """Tell whether gunicorn's parser found the end of the request where the loop did.

        Only chunked bodies can differ: elsewhere the loop goes by the parser's own length.
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
        """Wait for the next thing, so many seconds at most."""
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
        """Forget the request that was answered; what arrived behind it is the next one's."""
        self._release()
        self._start_request()

    @property
    def is_silent(self) -> bool:
        """Whether nothing of a request has arrived."""
        return self.state is State.HEAD and not self.buffer

    @property
    def received(self) -> int:
        """Bytes of the body that arrived or were announced."""
        return self.scanner.received if self.scanner is not None else self.size

    def is_slow(self, now: float) -> bool:
        """Whether its body comes at less than the least rate."""
        lasts_s = now - self.since
        return lasts_s > self._limits.grace_s and self.size < self._limits.min_bytes_per_s * lasts_s

    def receive(self) -> bool:
        """Move what has arrived into the request; return whether it is whole, or known to be wrong.

        :raise NoRoom: it cannot be kept.
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
        if end is None or end > self._limits.head_bytes:
            if len(self.buffer) > self._limits.head_bytes:
                self.error = _too_long(self.buffer)
            return self.error is not None
        head = bytes(self.buffer[:end])
        del self.buffer[:end]
        self._requests += 1
        self.source = RequestSource(head)
        try:
            self.request = Request(self._cfg, self.source, self.client, self._requests)
        except Exception as error:
            self.error = error  # A thread answers it as gunicorn does.
            return True
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        reader = self.request.body.reader
        if isinstance(reader, ChunkedReader):
            self.scanner = ChunkScanner()
        else:
            self.length = reader.length
        self.expects_continue = self.request._expected_100_continue
        # Else gunicorn would ask for the body once more, when it is there.
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
        """Give the body to the parser from its start."""
        if self._body is not None:
            self._body.seek(0)
            self.source.body = self._body

    def _release(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body = None
        self._room.give_back(self.peer, self._charged)
        self._charged = 0

    def close(self) -> None:
        """Close the socket and forget everything."""
        self.state = State.CLOSED
        self._release()
        self.sock.discard()
        with contextlib.suppress(OSError):
            self.raw.close()


def _too_long(head: bytearray) -> Exception:
    if b"\r\n" in head:
        return LimitRequestHeaders("limit request headers fields size")  # type: ignore[no-any-return]
    return LimitRequestLine(len(head), 8190)  # type: ignore[no-any-return]
