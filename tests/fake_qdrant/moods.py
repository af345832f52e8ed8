"""Moods: faulty behaviour of the fake."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from threading import Event

HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"

# A mood gets the connection after the request was read, and an event that is set by stop().
Mood = Callable[[socket.socket, Event], None]


def response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole answer, to send in one piece: Nagle's algorithm would delay a second piece."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
    given = {"Content-Type": "application/json"} | dict(headers or {})
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Mood:
    """Answer every request with this status.

    :param body: bytes are sent as they are, any other value as JSON.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda connection, _: connection.sendall(response(status, raw, headers))


def refuses(status: int, text: str, headers: Mapping[str, str] | None = None) -> Mood:
    """Answer with an error in Qdrant's format."""
    return answers(status, {"status": {"error": text}, "time": 0.0}, headers)


def html(status: int) -> Mood:
    """Answer with an HTML page, as a proxy does."""
    return answers(status, HTML, {"Content-Type": "text/html"})


def silent(connection: socket.socket, stopped: Event) -> None:
    """Do not answer, until the caller gives up or the fake is stopped."""
    _wait_for_the_caller(connection, stopped)


def dripping(connection: socket.socket, stopped: Event) -> None:
    """Send single bytes: each arrives within the time limit, the whole answer never does."""
    connection.sendall(b"HTTP/1.1 200 -\r\nX-Padding: ")
    try:
        while not stopped.wait(0.02):
            connection.sendall(b"x")
    except OSError:
        pass  # The caller has given up.


def dropping(connection: socket.socket, _: Event) -> None:
    """Close the connection without an answer."""
    connection.close()


def cut(connection: socket.socket, _: Event) -> None:
    """Close the connection in the middle of an answer."""
    connection.sendall(response(200, b"x" * 1000)[:200])
    connection.close()


def _wait_for_the_caller(connection: socket.socket, stopped: Event) -> None:
    connection.settimeout(0.02)
    while not stopped.is_set():
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
