"""The listening sockets of a web process, which accept connections only while there is a place."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from typing import Any


class Listeners:
    """The listeners of gunicorn's worker.

    :param take: gets each new connection: its socket, the address of the client and ours.
    :param make_place: called if no connection can be accepted.
    """

    def __init__(
        self,
        worker: Any,
        take: Callable[[socket.socket, Any, Any], None],
        make_place: Callable[[], object],
    ) -> None:
        self._worker, self._take, self._make_place = worker, take, make_place
        self._accepting = False

    def accept_if(self, accepts: bool) -> None:
        """Accept connections from now on, or leave them in the queue."""
        if accepts == self._accepting:
            return
        self._accepting = accepts
        for listener in self._worker.sockets:
            if accepts:
                listener.setblocking(False)
                self._worker.poller.register(listener, selectors.EVENT_READ, self._accept)
            else:
                self._worker.poller.unregister(listener)

    def close(self) -> None:
        """Refuse new clients."""
        self.accept_if(False)
        for listener in self._worker.sockets:
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError as error:
            # Usually file descriptors have run out. An idle connection gives back its descriptor.
            self._worker.log.warning("cannot accept a connection: %s", error)
            self._make_place()
            return
        self._take(sock, client, listener.getsockname())
