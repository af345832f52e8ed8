"""A client that sends any bytes over a real socket, and reads answers one by one."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    def __init__(self, port: int, *, source: str = "127.0.0.1", timeout_s: float = 30) -> None:
        self.sock = socket.create_connection(
            ("127.0.0.1", port), timeout=timeout_s, source_address=(source, 0)
        )
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def send(self, data: str | bytes) -> None:
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def end(self) -> None:
        """Close the sending side of the connection."""
        self.sock.shutdown(socket.SHUT_WR)

    def line(self) -> bytes:
        return self._file.readline()

    def answer(self, method: str = "GET") -> Answer:
        """Return the next answer; status 0 if the connection ends instead."""
        first = self._file.readline()
        if not first:
            return Answer(0, {}, b"")
        headers = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        return Answer(int(first.split()[1]), headers, self._file.read(length))

    def is_closed(self) -> bool:
        """Return whether the server closed the connection without sending more."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True
