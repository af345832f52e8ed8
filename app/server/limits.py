"""The limits of connections, and a counter of the bytes kept for each peer."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from dataclasses import dataclass

MIB = 1024**2


@dataclass(frozen=True)
class Limits:
    """The limits of one web process. Times are in seconds.

    :param connections_per_peer: ``None`` means no limit. This also removes ``bytes_per_peer``,
        because behind a proxy all clients are one peer.
    """

    connections: int = 1000
    connections_per_peer: int | None = 64
    head_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 30.0
    idle_s: float = 5.0
    # While most slots are used, bodies that arrive too slowly are ended. An ordinary event arrives
    # complete with its head.
    grace_s: float = 0.5
    min_bytes_per_s: int = 16 * 1024
    # A client that is still sending reads its answer only after it has sent everything.
    linger_s: float = 2.0
    linger_bytes: int = 64 * MIB
    head_bytes: int = 64 * 1024
    # A query of 1,000 characters has up to 12,000 bytes in an address, beside other parameters.
    line_bytes: int = 16_380
    bytes: int = 256 * MIB
    bytes_per_peer: int = 64 * MIB

    @property
    def peer_bytes(self) -> int | None:
        """How many bytes are kept for one peer at most, ``None`` without a limit."""
        return None if self.connections_per_peer is None else self.bytes_per_peer


def peer_of(client: object) -> str | None:
    """Return the peer of a connection, ``None`` for a Unix socket, which only a proxy opens.

    One host has a whole /64 of IPv6 addresses, so these count as one peer.
    """
    if not isinstance(client, tuple):
        return None
    try:
        address = ipaddress.ip_address(str(client[0]).partition("%")[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Room:
    """Count the bytes that are kept, in total and for each peer. It is safe for threads."""

    def __init__(self, total: int, per_peer: int | None) -> None:
        self._total, self._per_peer = total, per_peer
        self._lock = threading.Lock()
        self._used = 0
        self._by_peer: Counter[str] = Counter()

    def take(self, peer: str | None, size: int) -> bool:
        """Count ``size`` bytes. If there is no room, count nothing and return ``False``."""
        with self._lock:
            if self._used + size > self._total:
                return False
            if peer is not None and self._per_peer is not None:
                if self._by_peer[peer] + size > self._per_peer:
                    return False
                self._by_peer[peer] += size
            self._used += size
            return True

    def give_back(self, peer: str | None, size: int) -> None:
        """Subtract bytes that are no longer kept."""
        with self._lock:
            self._used -= size
            if peer is not None and self._per_peer is not None:
                self._by_peer[peer] -= size
                if self._by_peer[peer] <= 0:
                    del self._by_peer[peer]

    def is_crowded(self, peer: str | None) -> bool:
        """Whether three quarters of the room are used, in total or by this peer."""
        with self._lock:
            mine = self._by_peer.get(peer, 0) if peer is not None else 0
            limit = self._per_peer if self._per_peer is not None else self._total
            return 4 * self._used >= 3 * self._total or 4 * mine >= 3 * limit
