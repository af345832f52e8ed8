"""The limits of connections, and the count of what is kept in memory or on the disk for whom."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from dataclasses import dataclass

MIB = 1024**2


@dataclass(frozen=True)
class Limits:
    """What one web process allows. Times in seconds.

    :param connections_per_peer: ``None`` for no limit, which also lifts ``bytes_per_peer``: behind
        a proxy all clients are one peer.
    """

    connections: int = 1000
    connections_per_peer: int | None = 64
    head_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 30.0
    idle_s: float = 5.0
    # While most slots are taken, bodies that send next to nothing give way. An ordinary event comes
    # whole with its head.
    grace_s: float = 0.5
    min_bytes_per_s: int = 16 * 1024
    # A client that is still sending reads its answer only after that.
    linger_s: float = 2.0
    linger_bytes: int = 64 * MIB
    head_bytes: int = 64 * 1024
    bytes: int = 256 * MIB
    bytes_per_peer: int = 64 * MIB

    @property
    def peer_bytes(self) -> int | None:
        """How much is kept for one peer."""
        return None if self.connections_per_peer is None else self.bytes_per_peer


def peer_of(client: object) -> str | None:
    """Return whose connection it is, ``None`` for a Unix socket's, which only a proxy opens.

    One host has a whole /64 of IPv6 addresses, so those count as one.
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
    """How many bytes are kept, in all and for each peer. Safe for threads."""

    def __init__(self, total: int, per_peer: int | None) -> None:
        self._total, self._per_peer = total, per_peer
        self._lock = threading.Lock()
        self._used = 0
        self._by_peer: Counter[str] = Counter()

    def take(self, peer: str | None, size: int) -> bool:
        """Count ``size`` bytes; return whether there is room for them, else count nothing."""
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
        """Count bytes that are gone."""
        with self._lock:
            self._used -= size
            if peer is not None and self._per_peer is not None:
                self._by_peer[peer] -= size
                if self._by_peer[peer] <= 0:
                    del self._by_peer[peer]

    def is_crowded(self, peer: str | None) -> bool:
        """Whether three quarters of the room are taken, in all or by this peer."""
        with self._lock:
            mine = self._by_peer.get(peer, 0) if peer is not None else 0
            limit = self._per_peer if self._per_peer is not None else self._total
            return 4 * self._used >= 3 * self._total or 4 * mine >= 3 * limit
