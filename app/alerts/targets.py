"""Targets: which addresses a notification may be sent to.

    parse()      scheme, host, port, path of a URL that a person gave    no I/O
    addresses()  those of its host, all of them allowed    at saving, and for each sending

A host is sent to by an address that was checked for that very sending, so that a name whose
answer changes leads nowhere else. Public addresses are allowed, private ones by
``ALERTS_ALLOW_PRIVATE_TARGETS``; link-local and metadata addresses, multicast, what is reserved,
and IPv6 forms that carry an IPv4 address never are. The rules: :mod:`app.protocol.addresses`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.protocol.addresses import AddressError, check_address, check_host, check_port
from app.protocol.dsn import PORTS

MAX_URL = 2000

Resolve = Callable[[str, int], Iterable[str]]

# Printable ASCII but for what parsers disagree about.
_URL = re.compile(r"[!-~]+")


class TargetError(ValueError):
    """A notification may not be sent there; the message says why and repeats nothing of the URL."""


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
    try:
        check_port(port)
        host = check_host(parts.hostname or "")
    except AddressError as error:
        raise TargetError(str(error)) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


class Targets:
    """Which addresses are allowed.

    :param allow_private: loopback and private networks, too.
    :param resolve: returns the addresses of a host as text; raises ``OSError`` where it has none.
    """

    def __init__(self, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or _system_addresses

    def check(self, url: str) -> Target:
        """Return where a URL leads, if a notification may be sent there now.

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
            check_address(
                text, allow_private=self._allow_private, setting="ALERTS_ALLOW_PRIVATE_TARGETS"
            )
        except AddressError as error:
            raise TargetError(str(error)) from None


def _system_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
