"""Targets: which addresses a notification may be sent to.

    parse()      scheme, host, port and path of a URL that a person gave, without I/O
    addresses()  addresses of its host, if all are allowed; called on saving and for each sending

Each sending goes to an address that was checked for this sending. So a DNS name whose answer
changes cannot lead to another address. Public addresses are allowed. Private addresses are allowed
by ``ALERTS_ALLOW_PRIVATE_TARGETS``. Link-local, metadata, multicast and reserved addresses and IPv6
forms that contain an IPv4 address are never allowed. The rules are in
:mod:`app.protocol.addresses`.
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

# Printable ASCII without the space. `parse` also rejects the backslash, because parsers disagree
# about it.
_URL = re.compile(r"[!-~]+")


class TargetError(ValueError):
    """A notification may not be sent to this URL. The message says why without repeating it."""


class UnknownHost(TargetError):
    """The name of the host does not resolve at the moment."""


@dataclass(frozen=True)
class Target:
    """The parts of a URL.

    :param path: with the query. It may contain a secret, so ``repr`` does not show it.
    """

    scheme: str
    host: str
    port: int
    path: str

    def __repr__(self) -> str:
        return f"Target({self.origin!r})"

    @property
    def is_encrypted(self) -> bool:
        """Whether the target is reached by TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The host, and the port if it is not the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The part of the URL that may be shown: scheme, host and port."""
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Target:
    """Parse a URL that a person gave.

    :raise TargetError: the text is not a URL, or notifications may not be sent to such a URL.
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
    """The check of target addresses.

    :param allow_private: allow loopback and private networks too.
    :param resolve: returns the addresses of a host as text. Raises ``OSError`` if there are none.
    """

    def __init__(self, allow_private: bool = False, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or _system_addresses

    def check(self, url: str) -> Target:
        """Return the target of a URL, if a notification may be sent to it now.

        :raise TargetError: a notification may not be sent to it.
        """
        target = parse(url)
        self.addresses(target)
        return target

    def addresses(self, target: Target) -> list[str]:
        """Resolve a target's host and return its addresses, in the order to try them.

        :raise UnknownHost: the host has no address.
        :raise TargetError: one of the addresses is not allowed. Then none is used.
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
