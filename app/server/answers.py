"""The answer of one request: what the client takes at once is sent, the rest waits for the loop."""

from __future__ import annotations

import errno
import json
import socket
import tempfile
from http import HTTPStatus
from typing import IO, Any

from app.server.limits import Room

# Of an answer that its client does not read; beyond that it lies on the disk.
IN_MEMORY_BYTES = 128 * 1024
PIECE_BYTES = 64 * 1024
RETRY_AFTER_S = 5


class AnswerSocket:
    """What gunicorn's `Response` takes for the client's socket. Writing to it never waits.

    One thread at a time: a thread of the pool while it has the request, else the loop.
    """

    def __init__(self, sock: socket.socket, room: Room, peer: str | None, folder: str) -> None:
        self._sock, self._room, self._peer, self._folder = sock, room, peer, folder
        self._held = b""
        self._kept: IO[bytes] | None = None
        self._kept_bytes = self._sent_bytes = 0
        self.is_cut = False

    def sendall(self, data: bytes) -> None:
        """Send, or keep for the loop to send.

        :raise OSError: the client is gone, or there is no room for what it does not read.
        """
        if self.is_cut:
            raise BrokenPipeError(errno.EPIPE, "the answer was cut off")
        if not self._held and self._kept is None and len(data) < PIECE_BYTES:
            # The headers come first and alone. Sent with what follows they cost one packet less.
            self._held = bytes(data)
            return
        held, self._held = self._held, b""
        self._send(held + data)

    def send(self, data: bytes) -> int:
        """Send as `sendall` does; gunicorn uses both."""
        self.sendall(data)
        return len(data)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file."""
        file.seek(offset)
        left = count if count is not None else -1
        sent = 0
        while left and (piece := file.read(PIECE_BYTES if left < 0 else min(PIECE_BYTES, left))):
            self.sendall(piece)
            sent += len(piece)
            left -= len(piece) if left > 0 else 0
        return sent

    def flush(self) -> bool:
        """Send what the client takes now; return whether that was all.

        :raise OSError: the client is gone.
        """
        held, self._held = self._held, b""
        if held:
            self._send(held)
        while self._kept is not None and self._sent_bytes < self._kept_bytes:
            self._kept.seek(self._sent_bytes)
            piece = self._kept.read(PIECE_BYTES)
            sent = self._try(piece)
            self._sent_bytes += sent
            if sent < len(piece):
                return False
        self.discard()
        return True

    def discard(self) -> None:
        """Forget what was not sent."""
        self._held = b""
        if self._kept is not None:
            self._kept.close()
            self._room.give_back(self._peer, self._kept_bytes)
        self._kept, self._kept_bytes, self._sent_bytes = None, 0, 0

    def _send(self, data: bytes) -> None:
        sent = 0 if self._kept is not None else self._try(data)
        if sent < len(data):
            self._keep(data[sent:])

    def _try(self, data: bytes) -> int:
        sent = 0
        view = memoryview(data)
        try:
            while sent < len(data):
                sent += self._sock.send(view[sent:])
        except BlockingIOError:
            pass
        return sent

    def _keep(self, data: bytes) -> None:
        if not self._room.take(self._peer, len(data)):
            self.is_cut = True
            raise BrokenPipeError(errno.EPIPE, "too much waits for clients that do not read")
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=self._folder)
        self._kept_bytes += len(data)
        self._kept.seek(0, 2)
        self._kept.write(data)

    # What else gunicorn calls: the loop reads, closes and never blocks.

    def shutdown(self, how: int) -> None:
        """Note that the answer ends here, unfinished."""
        self.is_cut = True
        raise OSError(errno.ENOTCONN, "the loop closes this connection")

    def gettimeout(self) -> float:
        """Return 0: no call waits."""
        return 0.0

    def settimeout(self, timeout: float | None) -> None:
        """Do nothing: no call waits."""

    def setblocking(self, flag: bool) -> None:
        """Do nothing: no call waits."""

    def recv(self, size: int) -> bytes:
        """Return nothing: the request is whole."""
        return b""

    def close(self) -> None:
        """Do nothing: the loop closes the connection."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._sock.fileno()


def problem(status: int, detail: str, headers: dict[str, Any] | None = None) -> bytes:
    """Return a whole answer in the shape of all errors, after which the connection is closed."""
    title = HTTPStatus(status).phrase
    shape = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(shape).encode()
    fields = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": len(body),
        # A page of anywhere may have sent it, see app.ingest.answers.
        "Access-Control-Allow-Origin": "*",
        **(headers or {}),
    }
    if status == 503:
        fields["Retry-After"] = RETRY_AFTER_S
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
