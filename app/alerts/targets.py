"""Targets: which addresses a notice may be sent to.

    parse()      scheme, host, port, path of a URL that a person gave    no I/O
    addresses()  those of its host, all of them allowed    at saving, and for each sending

A host is sent to by an address that was checked for that very sending, so that a name whose
answer changes leads nowhere else. Public addresses are allowed, private ones by
``ALERTS_ALLOW_PRIVATE_TARGETS``; link-local and metadata addresses, multicast, what is reserved,
and IPv6 forms that carry an IPv4 address never are.

Ports: 80, 443 and those from 1024 on. Below them other protocols than HTTP listen, some of which
take a POST for commands.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

MAX_URL = 2000
LOWEST_PORT = 1024
PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Iterable[str]]

# A name as DNS has it. What is written in another alphabet may be normalised to digits and dots.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# A host that ends so is an address to some part of the system, whatever it looks like: 2130706433,
# 0x7f.1, 127.1. Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")
# Printable ASCII but for what parsers disagree about.
_URL = re.compile(r"[!-~]+")

_PRIVATE = tuple(
    map(
        ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
            *("::1/128", "fc00::/7"),
        ),
    )
)
# Source: https://www.iana.org/assignments/iana-ipv4-special-registry and the one of IPv6.
_NEVER = tuple(
    map(
        ip_network,
        (
            # This network, link-local with most metadata services, protocol assignments (in them
            # Oracle's metadata), documentation, benchmarks, 6to4 relays, multicast, reserved.
            *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
            # Metadata outside of it: Azure's, Alibaba's, and Amazon's by IPv6.
            *("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32"),
            # Teredo and other protocols, 6to4, documentation.
            *("2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20"),
        ),
    )
)
# All that is given out; mapped, compatible, NAT64, link-local and multicast lie outside of it.
_IPV6 = ip_network("2000::/3")


class TargetError(ValueError):
    """A notice may not be sent there; the message says why and repeats nothing of the URL."""


class UnknownHost(TargetError):
    """The name of the host does not resolve, at the moment at least."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads. ``path``: with its query; printing shows it not, it may hold a secret."""

    scheme: str
    host: str
    port: int
    path: str

    def __repr__(self) -> str:
        return f"Target({self.origin!r})"

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """All of the URL that may be shown."""
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Target:
    """Read a URL that a person gave.

    :raise TargetError: it is none, or none that is sent to.
    """
    if len(url) > MAX_URL or not _URL.fullmatch(url) or "\\" in url:
        raise TargetError(f"a URL of at most {MAX_URL} ASCII characters is expected")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetError("this is no URL") from None
    if parts.scheme not in PORTS:
        raise TargetError("the URL has to begin with https:// or http://")
    if "@" in parts.netloc:
        raise TargetError("the URL must hold no user name or password")
    port = PORTS[parts.scheme] if port is None else port
    if port not in PORTS.values() and port < LOWEST_PORT:
        raise TargetError(f"the port is 80, 443 or one from {LOWEST_PORT} on")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _host(parts.hostname or ""), port, path)


def _host(host: str) -> str:
    host = host.removesuffix(".")
    if ":" in host:
        try:
            return str(IPv6Address(host if "%" not in host else ""))
        except ValueError:
            raise TargetError("the host is no IPv6 address") from None
    if _NUMBER.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise TargetError("an address is written as four decimal numbers") from None
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise TargetError("the host is no name")
    return host


class Targets:
    """Which addresses are allowed.

    :param allow_private: loopback and private networks, too.
    :param resolve: returns the addresses of a host as text; raises ``OSError`` where it has none.
    """

    def __init__(self, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or _system_addresses

    def check(self, url: str) -> Target:
        """Return where a URL leads, if a notice may be sent there now.

        :raise TargetError: it may not.
        """
        target = parse(url)
        self.addresses(target)
        return target

    def addresses(self, target: Target) -> list[str]:
        """Resolve a target's host and return its addresses, in the order to try them.

        :raise UnknownHost: it has none.
        :raise TargetError: one of them is not allowed, and so none is.
        """
        try:
            found = list(dict.fromkeys(self._resolve(target.host, target.port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise UnknownHost("the name of the host does not resolve")
        for address in found:
            self._check(address)
        return found

    def _check(self, text: str) -> None:
        try:
            address = ip_address(text)
        except ValueError:  # An address with a zone: link-local.
            raise TargetError("the host has an address that is never sent to") from None
        if any(address in network for network in _PRIVATE) and not _is_never(address):
            if not self._allow_private:
                raise TargetError(
                    "the host has a private address, which ALERTS_ALLOW_PRIVATE_TARGETS would allow"
                )
        elif _is_never(address) or (address.version == 6 and address not in _IPV6):
            raise TargetError("the host has an address that is never sent to")


def _is_never(address: Address) -> bool:
    return any(address in network for network in _NEVER)


def _system_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
