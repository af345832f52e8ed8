"""Concurrent exchanges with Sentry. The thread that asks for their results drives all of them.

A curl handle begins its next exchange only after the result of the last one was recorded. So when
a process is killed, at most one envelope for each handle was sent without its result being
recorded. These envelopes are sent again.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pycurl

from app.delivery.client import CheckAddress, Line, Origin, stamped
from app.delivery.policy import Answer, Failure
from app.protocol.dsn import Dsn
from app.protocol.packing import unpack
from app.store import utc_now

log = logging.getLogger("app.tracker")

# How long the first result waits for others. A transaction costs the same for one result as for
# many, and this wait is short compared with a round trip to a remote Sentry.
LINGER_S = 0.003


@dataclass(frozen=True)
class Sent:
    """The result of sending one envelope.

    :param result: ``None`` if the envelope cannot be sent at all; ``damage`` says why.
    :param ms: duration of the exchange in milliseconds.
    """

    owner: Any
    token: Any
    result: Answer | Failure | None
    at: datetime
    ms: float
    damage: str | None = None


class Route:
    """The curl handles for one DSN. Free handles are kept for the next envelopes.

    :param check: checks the address of each connection, see :class:`app.delivery.client.Line`.
    """

    def __init__(self, dsn: Dsn, instance_id: str, check: CheckAddress | None = None) -> None:
        self._dsn = dsn
        self._check = check
        self._instance_id = instance_id
        self.free: list[Line] = []

    def line(self) -> Line:
        """Return a free handle, or a new one."""
        return self.free.pop() if self.free else Line(self._dsn, self._instance_id, self._check)

    def close(self) -> None:
        """Close the free handles."""
        while self.free:
            self.free.pop().close()


@dataclass(frozen=True)
class _Exchange:
    owner: Any
    token: Any
    route: Route
    line: Line
    at: datetime
    began: float

    def ended(self, result: Answer | Failure) -> Sent:
        ms = round((time.monotonic() - self.began) * 1000, 2)
        return Sent(self.owner, self.token, result, self.at, ms)


class Exchanges:
    """All exchanges of a process. Only one thread may use it; :meth:`wake` may be called by any."""

    def __init__(self) -> None:
        self._running: dict[pycurl.Curl, _Exchange] = {}
        self._ended: list[Sent] = []
        self._timer_at: float | None = None
        self._selector = selectors.DefaultSelector()
        # Kept-alive connections that are not in use. Any event on one means that it has ended.
        self._idle = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._multi = self._new_multi()

    def begin(self, owner: Any, token: Any, route: Route, body: bytes, origin: Origin) -> None:
        """Begin to send an envelope.

        :param owner: returned with the result, as is ``token``.
        :param body: compressed, as it is stored.
        """
        at, began = utc_now(), time.monotonic()
        try:
            data = stamped(unpack(body), at)
        except ValueError as damage:
            self._ended.append(Sent(owner, token, None, at, 0.0, str(damage)))
            return
        try:
            line = route.line()
            line.load(data, origin, is_fresh=bool(self._idle.select(0)))
            self._multi.add_handle(line.curl)
        except Exception as bug:
            # No error may hold up the other envelopes. This envelope is tried again.
            log.exception("an envelope could not be sent")
            failure = Failure(f"failed here: {type(bug).__name__}")
            self._ended.append(Sent(owner, token, failure, at, 0.0))
            return
        self._running[line.curl] = _Exchange(owner, token, route, line, at, began)

    def results(self, timeout_s: float) -> list[Sent]:
        """Drive the exchanges and return the results of those that have ended.

        :param timeout_s: returns after this time, or earlier when an exchange has ended or another
            thread calls :meth:`wake`.
        """
        until, is_woken = time.monotonic() + timeout_s, False
        while not self._ended and not is_woken and (left := until - time.monotonic()) > 0:
            is_woken = self._turn(left)
        if self._ended:
            self._linger()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """Make :meth:`results` return now. Other threads may call this."""
        # The socket is full, so a wake-up is pending already, or it is closed.
        with contextlib.suppress(OSError):
            self._rope.send(b"!")

    def end_all(self, why: str) -> None:
        """End the running exchanges with a failure instead of an answer.

        :param why: the cause of the failure.
        """
        for exchange in list(self._running.values()):
            self._take_off(exchange, Failure(why))
            exchange.line.close()

    def close_connections(self) -> None:
        """Close the kept-alive connections, unless an exchange is running."""
        if not self._running:
            self._multi.close()
            self._multi = self._new_multi()

    def close(self) -> None:
        """Close all connections and sockets. Running exchanges are given up."""
        self.end_all("given up")
        self._multi.close()
        self._selector.close()
        self._idle.close()
        self._bell.close()
        self._rope.close()

    def _new_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        return multi

    def _linger(self) -> None:
        until = time.monotonic() + LINGER_S
        while len(self._running) > len(self._ended) and (left := until - time.monotonic()) > 0:
            self._turn(left)

    def _turn(self, timeout_s: float) -> bool:
        """Wait for the network once and let curl handle what is ready. Return whether another
        thread called :meth:`wake`.
        """
        if self._timer_at is not None:
            timeout_s = min(timeout_s, max(0.0, self._timer_at - time.monotonic()))
        is_woken = False
        for key, events in self._selector.select(timeout_s):
            if key.fileobj is self._bell:
                is_woken = self._silence()
            else:
                self._multi.socket_action(key.fd, _for_curl(events))
        if self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        for curl, error, message in self._finished():
            exchange = self._running[curl]
            self._take_off(exchange, _result_of(exchange, error, message))
            exchange.route.free.append(exchange.line)
        return is_woken

    def _finished(self) -> Iterator[tuple[pycurl.Curl, int, str]]:
        left = 1
        while left:
            left, fine, failed = self._multi.info_read()
            yield from ((curl, pycurl.E_OK, "") for curl in fine)
            yield from failed

    def _take_off(self, exchange: _Exchange, result: Answer | Failure) -> None:
        self._multi.remove_handle(exchange.line.curl)
        del self._running[exchange.line.curl]
        self._ended.append(exchange.ended(result))

    def _silence(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass
        return True

    # ---- callbacks of curl: which sockets to watch, and when its timer is due --------------------

    def _watch(self, events: int, fd: int, multi: object, data: object) -> None:
        for selector in (self._selector, self._idle):
            if fd in selector.get_map():
                selector.unregister(fd)
        if wanted := _for_selector(events):
            self._selector.register(fd, wanted)
        else:
            # If curl closes the socket next, the selector drops it by itself.
            self._idle.register(fd, selectors.EVENT_READ)

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


def _result_of(exchange: _Exchange, error: int, message: str) -> Answer | Failure:
    try:
        return exchange.line.result(error, message)
    except Exception as bug:
        # An answer that cannot be read must not block its connection or the other answers.
        log.exception("an answer could not be read")
        return Failure(f"failed here: {type(bug).__name__}")


def _for_curl(events: int) -> int:
    return (pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0) | (
        pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
    )


def _for_selector(events: int) -> int:
    if events == pycurl.POLL_REMOVE:
        return 0
    return (selectors.EVENT_READ if events & pycurl.POLL_IN else 0) | (
        selectors.EVENT_WRITE if events & pycurl.POLL_OUT else 0
    )
