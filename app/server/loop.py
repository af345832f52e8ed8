"""The event loop of a web process. It reads requests, passes complete ones to threads, and sends.

    accept ─▶ HEAD ─▶ BODY ─▶ THREAD ─▶ SENDING ─▶ HEAD, or LINGERING ─▶ CLOSED
                        └─ the application checks the head when the body takes a while

Each state except THREAD has a deadline. A connection without a place (:mod:`.places`) gets 503.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine

from app.server.answers import problem
from app.server.batches import Answer, Batches, BatchThread, wire_bytes
from app.server.connections import UNCHECKED_BYTES, Connection, NoRoom, State
from app.server.limits import Limits, Room
from app.server.listeners import Listeners
from app.server.places import Places
from app.server.threads import HeadCheck, Outcome, RequestThreads, allow_all

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
READ_BYTES = 64 * 1024
SWEEP_EVERY_S = 0.1
IDLE_WAIT_S = 1.0
# Clients often send a head and its body in two packets. A small body has this long to arrive before
# the application checks the head.
UNCHECKED_S = 0.05
# How long a stopping process waits for a request that an idle client may be sending.
STOP_IDLE_S = 1.0
# How long it waits for the rest of a request, and for a client to read the error.
STOP_HALF_S = 2.0
STOP_LINGER_S = 0.5
# gunicorn's master kills a worker after its graceful_timeout. Data in memory must be stored before.
STOP_RESERVE_S = 1.0
NO_ROOM = "too many requests are being received at the moment"
TOO_SLOW = "the request came too slowly"
STOPPING = "the service is stopping"
FAILED = "the request could not be answered"
HEADERS_TOO_LONG = "the headers have too many fields or bytes"


class EventLoop:
    """Serves the connections of one web process, in its main thread.

    :param worker: gunicorn's worker. Its thread pool answers the requests.
    :param folder: where bodies above 1 MiB and unread answers are kept.
    :param check: checks the head of a request before its body is complete.
    :param batches: answers small requests in batches. By default, threads answer all requests.
    """

    def __init__(
        self,
        worker: Any,
        limits: Limits,
        folder: str,
        check: HeadCheck = allow_all,
        batches: Batches | None = None,
    ) -> None:
        self._worker, self._limits, self._folder = worker, limits, folder
        self._room = Room(limits.bytes, limits.peer_bytes)
        self._places = Places(limits, self._drop)
        self._next_sweep = 0.0
        self._listeners = Listeners(worker, self._take, lambda: self._places.make_place(None))
        self._threads = RequestThreads(worker, check, self._after_thread)
        self._batches = (
            BatchThread(batches, Connection.complete, self._batch_is_done, worker.log.exception)
            if batches is not None
            else None
        )

    def run(self) -> None:
        """Serve until the worker has to stop, then finish the requests in progress."""
        worker = self._worker
        queue = worker.method_queue
        worker.poller.register(queue.fileno(), READ, queue.run_callbacks)
        while worker.alive:
            self._turn()
            if not worker.is_parent_alive():
                break
        self._stop()

    def _turn(self) -> None:
        self._worker.notify()
        self._listeners.accept_if(self._worker.alive and self._places.has_place())
        wait_s = SWEEP_EVERY_S if self._places.connections else IDLE_WAIT_S
        self._worker.wait_for_and_dispatch_events(wait_s)
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY_S
            self._sweep(now)

    def _stop(self) -> None:
        self._threads.hurry()
        # Close the listeners before waiting: new clients are to be refused, not kept in the queue.
        self._listeners.close()
        self._worker.alive = False
        now = time.monotonic()
        end = now + max(STOP_RESERVE_S, self._worker.cfg.graceful_timeout - STOP_RESERVE_S)
        for connection in self._places.connections:
            if connection.state is not State.SENDING:
                connection.deadline = min(connection.deadline, now + _rest_s(connection))
        while self._places.connections and time.monotonic() < end:
            self._turn()
        for connection in list(self._places.connections):
            self._drop(connection)
        if self._batches is not None:
            self._batches.stop()
        self._threads.stop()
        self._worker.poller.close()
        self._worker.method_queue.close()

    # ---- new connections ------------------------------------------------------------------------

    def _take(self, sock: socket.socket, client: Any, server: Any) -> None:
        connection = Connection(
            sock,
            client,
            server,
            cfg=self._worker.cfg,
            limits=self._limits,
            room=self._room,
            folder=self._folder,
        )
        if not self._places.enter(connection):
            self._refuse(connection, 503, "there are too many connections")
            return
        # Usually the request has arrived already.
        self._on_ready(connection, sock)

    # ---- reading --------------------------------------------------------------------------------

    def _watch(self, connection: Connection, events: int) -> None:
        poller = self._worker.poller
        if events == connection.watched:
            return
        if not events:
            poller.unregister(connection.raw)
        elif connection.watched:
            poller.modify(connection.raw, events, partial(self._on_ready, connection))
        else:
            poller.register(connection.raw, events, partial(self._on_ready, connection))
        connection.watched = events

    def _on_ready(self, connection: Connection, sock: socket.socket) -> None:
        try:
            if connection.state is State.SENDING:
                self._send_rest(connection)
            elif connection.state is State.THREAD:
                self._watch(connection, 0)  # What the client sends ahead waits in the socket.
            elif connection.state is not State.CLOSED:
                self._read(connection)
        except OSError:
            self._drop(connection)  # The client is gone.
        except Exception:
            self._worker.log.exception("a connection failed")
            self._drop(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.raw.recv(READ_BYTES)
        except BlockingIOError:
            self._watch(connection, READ)
            return
        if connection.state is State.LINGERING:
            connection.lingered_bytes += len(data)
            if not data or connection.lingered_bytes > self._limits.linger_bytes:
                self._drop(connection)
            return
        if not data:
            self._end_of_stream(connection)
            return
        if connection.is_silent and connection.stays_open:
            connection.enter(State.HEAD, self._limits.head_s)
        connection.buffer += data
        self._advance(connection)

    def _end_of_stream(self, connection: Connection) -> None:
        connection.is_at_end = True
        if connection.state is State.BODY:
            self._refuse(connection, 400, "the body ends before its length")
        else:
            self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Process the received data."""
        try:
            is_whole = connection.receive()
        except NoRoom:
            self._refuse(connection, 503, NO_ROOM)
            return
        if isinstance(connection.error, LimitRequestLine):
            most = self._limits.line_bytes
            self._refuse(connection, 414, f"the request line has more than {most:,} bytes")
        elif isinstance(connection.error, LimitRequestHeaders):
            self._refuse(connection, 431, HEADERS_TOO_LONG)
        elif is_whole:
            connection.rewind()
            if self._batches is not None and self._batches.takes(connection):
                connection.state = State.THREAD
                self._batches.put(connection)
            else:
                self._threads.answer(connection)
        elif connection.request is not None and self._has_to_ask(connection):
            self._threads.check(connection)
        else:
            self._watch(connection, READ)

    def _has_to_ask(self, connection: Connection) -> bool:
        if connection.max_bytes is not None:
            return connection.received > connection.max_bytes
        return connection.expects_continue or connection.received > UNCHECKED_BYTES

    # ---- after the thread -----------------------------------------------------------------------

    def _after_thread(self, connection: Connection, outcome: Outcome) -> None:
        if connection.state is State.CLOSED:
            return
        try:
            if connection.sock.is_cut:
                self._drop(connection)
            elif outcome.max_bytes is not None:
                self._go_on(connection, outcome.max_bytes)
            else:
                connection.stays_open = outcome.stays_open
                connection.enter(State.SENDING, self._limits.answer_s)
                self._send_rest(connection)
        except OSError:
            self._drop(connection)

    def _batch_is_done(self, taken: list[Connection], answers: list[Answer | None] | None) -> None:
        """Hand a batch to the loop. The thread of the batch calls this."""
        with contextlib.suppress(Exception):
            self._worker.method_queue.defer(self._after_batch, taken, answers)

    def _after_batch(self, taken: list[Connection], answers: list[Answer | None] | None) -> None:
        for number, connection in enumerate(taken):
            if connection.state is State.CLOSED:
                continue
            if answers is None:
                self._refuse(connection, 503, FAILED)
            elif (answer := answers[number]) is None:
                self._threads.answer(connection)
            else:
                self._send_answer(connection, answer)

    def _send_answer(self, connection: Connection, answer: Answer) -> None:
        connection.stays_open = (
            self._worker.alive
            and not connection.request.should_close()
            and connection.finish_body()
        )
        try:
            connection.sock.sendall(wire_bytes(answer, connection.stays_open))
            connection.enter(State.SENDING, self._limits.answer_s)
            self._send_rest(connection)
        except OSError:
            self._drop(connection)

    def _go_on(self, connection: Connection, max_bytes: int) -> None:
        connection.state = State.BODY  # The deadline stays the same.
        connection.max_bytes = max_bytes
        if connection.expects_continue:
            connection.expects_continue = False
            if not connection.size:
                connection.raw.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._advance(connection)

    def _send_rest(self, connection: Connection) -> None:
        if not connection.sock.flush():
            self._watch(connection, WRITE)
        elif connection.stays_open:
            connection.next_request()
            idle_s = self._limits.idle_s if self._worker.alive else STOP_IDLE_S
            connection.enter(State.HEAD, self._limits.head_s if connection.buffer else idle_s)
            self._advance(connection)
        else:
            self._linger(connection)

    def _linger(self, connection: Connection) -> None:
        """End the answer, and read on for a while, so that a client still sending can see it."""
        if connection.is_at_end:
            self._drop(connection)
            return
        self._places.uncount(connection)
        connection.next_request()
        connection.buffer.clear()
        connection.raw.shutdown(socket.SHUT_WR)
        is_stopping = not self._worker.alive
        connection.enter(State.LINGERING, STOP_LINGER_S if is_stopping else self._limits.linger_s)
        self._watch(connection, READ)

    def _refuse(self, connection: Connection, status: int, detail: str) -> None:
        self._worker.log.debug("refused %s: %s %s", connection.peer, status, detail)
        connection.stays_open = False
        try:
            connection.sock.sendall(problem(status, detail))
            connection.enter(State.SENDING, self._limits.answer_s)
            self._send_rest(connection)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.state is State.CLOSED:
            return
        self._watch(connection, 0)
        self._places.leave(connection)
        connection.close()

    # ---- timeouts -------------------------------------------------------------------------------

    def _sweep(self, now: float) -> None:
        if self._batches is not None:
            self._batches.keep_running()
        for connection in list(self._places.connections):
            if connection.state is State.THREAD or connection.state is State.CLOSED:
                continue
            if now >= connection.deadline:
                self._expire(connection)
            elif connection.state is State.BODY:
                self._look_at_body(connection, now)

    def _expire(self, connection: Connection) -> None:
        is_half = connection.state is State.BODY or (
            connection.state is State.HEAD and connection.buffer
        )
        if is_half and not self._worker.alive:
            self._refuse(connection, 503, STOPPING)
        elif is_half:
            self._refuse(connection, 408, TOO_SLOW)
        else:
            self._drop(connection)

    def _look_at_body(self, connection: Connection, now: float) -> None:
        peer = connection.peer
        is_crowded = self._places.is_crowded(peer) or self._room.is_crowded(peer)
        if is_crowded and connection.is_slow(now):
            self._refuse(connection, 408, TOO_SLOW)
        elif connection.max_bytes is None and now - connection.since > UNCHECKED_S:
            self._threads.check(connection)


def _rest_s(connection: Connection) -> float:
    """Return how long a stopping process waits for a connection that it need not answer."""
    if connection.state is State.LINGERING:
        return STOP_LINGER_S
    return STOP_IDLE_S if connection.is_silent else STOP_HALF_S
