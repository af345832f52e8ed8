"""The places of a web process: how many connections it has, in all and of each peer.

When a new connection exceeds the limits, it takes the place of a connection that is idle, silent or
slow, in this order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from app.server.connections import Connection, State
from app.server.limits import Limits


class Places:
    """The open connections of one web process.

    :param drop: closes a connection that loses its place, and calls :meth:`leave`.
    """

    def __init__(self, limits: Limits, drop: Callable[[Connection], None]) -> None:
        self._limits, self._drop = limits, drop
        self.connections: set[Connection] = set()
        self._by_peer: Counter[str | None] = Counter()

    def has_place(self) -> bool:
        """Return whether to accept a connection: one more than the limit, to take a place."""
        return len(self.connections) <= self._limits.connections

    def enter(self, connection: Connection) -> bool:
        """Add a connection. Return whether it has a place; if not, it has to be refused."""
        has_place = self._admit(connection.peer)
        self.connections.add(connection)
        if has_place:
            connection.is_counted = True
            self._by_peer[connection.peer] += 1
        return has_place

    def leave(self, connection: Connection) -> None:
        """Remove a connection."""
        self.connections.discard(connection)
        self.uncount(connection)

    def uncount(self, connection: Connection) -> None:
        """Stop counting a connection for its peer."""
        if connection.is_counted:
            connection.is_counted = False
            self._by_peer[connection.peer] -= 1
            if not self._by_peer[connection.peer]:
                del self._by_peer[connection.peer]

    def is_crowded(self, peer: str | None) -> bool:
        """Return whether three quarters of the places are taken, in all or by this peer."""
        limits, most = self._limits, self._limits.connections_per_peer
        if 4 * len(self.connections) >= 3 * limits.connections:
            return True
        return peer is not None and most is not None and 4 * self._by_peer[peer] >= 3 * most

    def make_place(self, peer: str | None) -> bool:
        """Close the least important connection, and return whether there was one.

        :param peer: only connections of this peer; ``None`` for any peer.
        """
        now = time.monotonic()
        ranked = (
            (rank, connection.since, connection)
            for connection in self.connections
            if (peer is None or (connection.peer == peer and connection.is_counted))
            and (rank := self._rank(connection, now)) is not None
        )
        least = min(ranked, key=lambda entry: entry[:2], default=None)
        if least is None:
            return False
        self._drop(least[2])
        return True

    def _admit(self, peer: str | None) -> bool:
        most = self._limits.connections_per_peer
        if peer is not None and most is not None and self._by_peer[peer] >= most:
            return self.make_place(peer)
        if len(self.connections) >= self._limits.connections:
            return self.make_place(None)
        return True

    def _rank(self, connection: Connection, now: float) -> int | None:
        is_new = now - connection.since < self._limits.grace_s
        if connection.state is State.LINGERING:
            return 3 if not is_new else None
        if connection.is_silent:
            return 0
        if is_new or connection.state is State.THREAD:
            return None
        if connection.state is State.HEAD:
            return 1
        if connection.state is State.BODY:
            return 2 if connection.is_slow(now) else None
        return 4  # Its client has not read the answer for a while.
