"""The server of the fake: two listening sockets, one event loop, a task for each connection."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import count
from typing import Any, cast

from tests.fake_sentry.contents import PATHS, Contents, contents_of, key_of
from tests.fake_sentry.moods import PAGE, RESET_ON_CLOSE, Mood, Moody, behave, http_answer
from tests.fake_sentry.record import Entry, RecordFile
from tests.fake_sentry.wire import BadRequest, Request, read_request

LOOPBACK = "127.0.0.1"
Handle = Callable[["Connection", Request, float], Awaitable[None]]


def reserved_port(port: int = 0) -> socket.socket:
    """Bind a port without listening: it refuses connections, and no other process gets it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock


class Connection(asyncio.Protocol):
    """A connection; it reads and handles its requests one after the other."""

    def __init__(self, number: int, handle: Handle, lost: Callable[[Connection], None]) -> None:
        self.number = number
        self.gone = asyncio.Event()
        self._handle, self._lost = handle, lost
        self._reader = asyncio.StreamReader()
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._first_byte_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        if self._first_byte_at is None:
            self._first_byte_at = time.time()
        self._reader.feed_data(data)

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._lost(self)

    def _leave(self) -> None:
        self.gone.set()
        self._is_writable.set()
        self._reader.feed_eof()

    def pause_writing(self) -> None:
        self._is_writable.clear()

    def resume_writing(self) -> None:
        self._is_writable.set()

    async def send(self, data: bytes) -> bool:
        # A failed write closes the transport at once; connection_lost() is called only later.
        if not self._transport.is_closing():
            self._transport.write(data)
            await self._is_writable.wait()
        return not self._transport.is_closing()

    def reset(self) -> None:
        if self.gone.is_set():
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    async def gone_within(self, seconds: float | None) -> bool:
        try:
            return await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return False

    async def _serve(self) -> None:
        try:
            while not self._transport.is_closing():
                request = await read_request(self._reader)
                if request is None:
                    return
                started, self._first_byte_at = self._first_byte_at or time.time(), None
                await self._handle(self, request, started)
                if not request.keeps_alive:
                    return
        except (BadRequest, asyncio.LimitOverrunError) as error:
            await self.send(http_answer(400, {"Connection": "close"}, str(error).encode()))
        except asyncio.IncompleteReadError:
            # The client left or was killed in the middle of its request: there is no request.
            pass
        finally:
            self._transport.close()


class Server:
    """The fake: a socket for envelopes, which can be closed, and a socket that sets the mood.

    :param latency_s: the network latency to simulate: a delay of every answer, in any mood.
    """

    def __init__(
        self, record: RecordFile, *, port: int = 0, control_port: int = 0, latency_s: float = 0.0
    ) -> None:
        self._record = record
        self._latency_s = latency_s
        self._moody = Moody()
        # Keep the port while the socket for envelopes is closed.
        self._reserved = reserved_port(port)
        self._control_port = control_port
        self._door: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._numbers = count(1)
        self._requests = count(1)

    async def start(self) -> tuple[int, int]:
        """Open both sockets, and return the port for envelopes and the port for moods."""
        await self._open()
        control = await asyncio.get_running_loop().create_server(
            lambda: Connection(0, self._control, lambda _: None), LOOPBACK, self._control_port
        )
        self._control_server = control
        return self._reserved.getsockname()[1], control.sockets[0].getsockname()[1]

    async def _open(self) -> None:
        sock = reserved_port(self._reserved.getsockname()[1])
        loop = asyncio.get_running_loop()
        self._door = await loop.create_server(self._connect, sock=sock, backlog=1024)

    def _connect(self) -> Connection:
        connection = Connection(next(self._numbers), self._receive, self._connections.discard)
        self._connections.add(connection)
        return connection

    async def _set_mood(self, mood: Mood) -> None:
        self._moody.change(mood)
        if mood.name == "refused" and self._door is not None:
            self._door.close()
            self._door = None
            for connection in list(self._connections):
                connection.reset()
        elif mood.name != "refused" and self._door is None:
            await self._open()

    async def _control(self, line: Connection, request: Request, started: float) -> None:
        try:
            if request.method == "POST":
                await self._set_mood(Mood(**json.loads(request.body)))
            status, answer = 200, json.dumps(asdict(self._moody.mood))
        except (TypeError, ValueError) as error:
            status, answer = 400, str(error)
        await line.send(http_answer(status, {}, answer.encode()))

    async def _receive(self, line: Connection, request: Request, started: float) -> None:
        entry = self._entry(line, request, started)
        path = PATHS.fullmatch(request.path)
        if path is None or request.method != "POST":
            await self._turn_away(line, request, entry)
        elif refusal := _read(request, entry):
            entry["status"], entry["reason"] = refusal
            body = json.dumps({"detail": entry["reason"]}).encode()
            await self._end(line, entry, line.send(http_answer(entry["status"], {}, body)))
        else:
            await self._meet_mood(line, entry, path[1])

    async def _meet_mood(self, line: Connection, entry: Entry, project: str) -> None:
        mood = self._moody.mood_for(project, entry["item_types"])
        entry |= {"project": project, "mood": mood.name, "status": mood.answered_status}
        entry["state"] = "accepted" if mood.is_accepting else "refused"
        await self._end(line, entry, behave(mood, line, entry["event_id"]))

    def _entry(self, line: Connection, request: Request, started: float) -> Entry:
        return {
            "server": os.getpid(),
            "request": next(self._requests),
            "connection": line.number,
            "started": started,
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "wire_bytes": len(request.body),
            "encoding": request.headers.get("content-encoding"),
            "user_agent": request.headers.get("user-agent"),
            "instance": request.headers.get("x-devenviro-instance"),
            "state": "refused",
            "event_id": None,
            "event_ids": [],
            "item_types": [],
        }

    async def _turn_away(self, line: Connection, request: Request, entry: Entry) -> None:
        """Answer 404 for an unknown path, 200 for the page that the mood ``redirect`` leads to."""
        entry["status"], entry["reason"] = 404, "no such route"
        type_, body = "application/json", '{"detail": "no such route"}'
        if request.path == "/portal/":
            entry["status"], type_, body = 200, "text/html; charset=utf-8", PAGE
        answer = http_answer(entry["status"], {"Content-Type": type_}, body.encode())
        await self._end(line, entry, line.send(answer))

    async def _end(self, line: Connection, entry: Entry, answer: Awaitable[bool]) -> None:
        """Record the request, answer it, and record its end."""
        self._record.note(entry)
        if self._latency_s:
            await line.gone_within(self._latency_s)
        answered = await answer
        key = {name: entry[name] for name in ("server", "request")}
        self._record.note({**key, "ended": time.time(), "answered": answered})


def _read(request: Request, entry: Entry) -> tuple[int, str] | None:
    """Add the content of a request to its entry; return status and reason if Sentry refuses it."""
    contents = None
    try:
        body = request.inflated()
        contents = contents_of(request, body)
        entry |= _noted(contents) | {"bytes": len(body)}
    except BadRequest as error:
        return 400, str(error)
    finally:
        entry["key"], entry["key_in"] = key_of(request, contents)
    return None if entry["key"] else (401, "no public key")


def _noted(contents: Contents) -> dict[str, Any]:
    return {
        "event_id": contents.event_id,
        "sent_at": contents.headers.get("sent_at"),
        "digest": contents.digest,
        "item_types": contents.item_types,
        "event_ids": contents.event_ids,
        "client_reports": contents.client_reports,
    }
