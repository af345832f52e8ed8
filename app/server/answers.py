"""The answer to a request. It sends what the client accepts at once, and keeps the rest."""

from __future__ import annotations

import errno
import json
import socket
import tempfile
from http import HTTPStatus
from typing import IO, Any

from app.server.limits import Room

# How much of an answer that its client does not read stays in memory. The rest goes to the disk.
IN_MEMORY_BYTES = 128 * 1024
PIECE_BYTES = 64 * 1024
RETRY_AFTER_S = 5


class AnswerSocket:
    """The replacement for the client's socket in gunicorn's `Response`. Writing never waits.

    Only one thread uses it at a time: a thread of the pool while it has the request, or else the
    thread of the loop.
    """

    def __init__(self, sock: socket.socket, room: Room, peer: str | None, folder: str) -> None:
        self._sock, self._room, self._peer, self._folder = sock, room, peer, folder
        self._held = b""
        self._kept: IO[bytes] | None = None
        self._kept_bytes = self._sent_bytes = 0
        self.is_cut = False

    def sendall(self, data: bytes) -> None:
        """Send data, or keep it for the loop to send.

        :raise OSError: the client is gone, or there is no room for data that it does not read.
        """
        if self.is_cut:
            raise BrokenPipeError(errno.EPIPE, "the answer was cut off")
        if not self._held and self._kept is None and len(data) < PIECE_BYTES:
            # The headers come first and alone. Sending them with the next data saves a packet.
            self._held = bytes(data)
            return
        held, self._held = self._held, b""
        self._send(held + data)

    def send(self, data: bytes) -> int:
        """Send as `sendall` does. gunicorn uses both."""
        self.sendall(data)
        return len(data)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file and return how many bytes that was.

        :param offset: where the part begins, in bytes.
        :param count: its length in bytes; ``None`` means to the end of the file.
        """
        file.seek(offset)
        left = count if count is not None else -1
        sent = 0
        while left and (piece := file.read(PIECE_BYTES if left < 0 else min(PIECE_BYTES, left))):
            self.sendall(piece)
            sent += len(piece)
            left -= len(piece) if left > 0 else 0
        return sent

    def flush(self) -> bool:
        """Send what the client accepts now, and return whether everything is sent.

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
        """Discard the data that was not sent."""
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

    # The other methods that gunicorn calls. The loop reads and closes, and never blocks.

    def shutdown(self, how: int) -> None:
        """Record that the answer ends here, incomplete."""
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
        """Return nothing, because the request is complete."""
        return b""

    def close(self) -> None:
        """Do nothing: the loop closes the connection."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._sock.fileno()


def problem(status: int, detail: str, headers: dict[str, Any] | None = None) -> bytes:
    """Return a complete answer in the format of all errors. The connection is closed after it."""
    title = HTTPStatus(status).phrase
    shape = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(shape).encode()
    fields = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": len(body),
        # The request may come from a page of any origin, see app.ingest.answers.
        "Access-Control-Allow-Origin": "*",
        **(headers or {}),
    }
    if status == 503:
        fields["Retry-After"] = RETRY_AFTER_S
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
