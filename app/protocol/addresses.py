"""Rules for the addresses that this service may send to. This module resolves no names.

Public addresses are allowed. Private and loopback addresses are allowed if a setting allows them.
Link-local and metadata addresses, multicast and reserved addresses are never allowed.

Allowed ports are 80, 443 and all ports from 1024 on. On other ports below 1024, protocols other
than HTTP listen, and some of them read a POST as commands.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote

from app.protocol.dsn import PORTS, Dsn

LOWEST_PORT = 1024
Address = IPv4Address | IPv6Address

# A DNS name. Names in other alphabets are refused: they may be normalised to digits and dots.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# Some part of the system reads a host that ends in such a number as an address: 2130706433, 0x7f.1,
# 127.1. Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
# The names of metadata services. They are refused for every address that they resolve to.
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2"}
)
_PRIVATE = tuple(
    map(
        ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
            *("::1/128", "fc00::/7"),
        ),
    )
)
# Source: https://www.iana.org/assignments/iana-ipv4-special-registry and the registry for IPv6.
_NEVER = tuple(
    map(
        ip_network,
        (
            # This network, link-local with most metadata services, protocol assignments (in them
            # Oracle's metadata), documentation, benchmarks, 6to4 relays, multicast, reserved.
            *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
            # Metadata services outside link-local: Azure's, Alibaba's, and Amazon's over IPv6.
            *("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32"),
            # Teredo and other protocols, 6to4, documentation.
            *("2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20"),
        ),
    )
)
# All IPv6 addresses that are allocated. Mapped, compatible, NAT64, link-local and multicast
# addresses are outside of it.
_IPV6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


class AddressError(ValueError):
    """An address is not allowed. The message says why and does not repeat the address."""


def check_host(host: str) -> str:
    """Return a host in the form to resolve: an address in its usual form, or a name.

    :param host: in lower case; an IPv6 address without brackets.
    :raise AddressError: the host is neither a name nor an address in the usual notation.
    """
    host = host.removesuffix(".")
    if ":" in host:
        try:
            return str(IPv6Address(host if "%" not in host else ""))
        except ValueError:
            raise AddressError("the host is no IPv6 address") from None
    if _ends_in_number(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise AddressError("an address is written as four decimal numbers") from None
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise AddressError("the host is no name")
    return host


def _ends_in_number(host: str) -> bool:
    return bool(_NUMBER.fullmatch(host.rpartition(".")[2]))


def check_port(port: int) -> None:
    """Check that a port is allowed.

    :raise AddressError: the port is below 1024 and neither 80 nor 443.
    """
    if port not in PORTS.values() and port < LOWEST_PORT:
        raise AddressError(f"the port is 80, 443 or one from {LOWEST_PORT} on")


def check_address(text: str, *, allow_private: bool, setting: str) -> None:
    """Check that an address that a host resolved to is allowed.

    :param setting: the name of the setting that would allow private addresses, for the message.
    :raise AddressError: the address is not allowed.
    """
    try:
        address = ip_address(text)
    except ValueError:  # An address with a zone: link-local.
        raise AddressError("the host has an address that is never sent to") from None
    if any(address in network for network in _PRIVATE) and not _is_never(address):
        if not allow_private:
            raise AddressError(f"the host has a private address, which {setting} would allow")
    elif _is_never(address) or (address.version == 6 and address not in _IPV6):
        raise AddressError("the host has an address that is never sent to")


def carried_address(text: str) -> str:
    """Return the IPv4 address that an IPv6 address contains, or the address itself.

    In a network with IPv6 only, every IPv4 host is reached through such an IPv6 address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if address.version == 4:
        return text
    if address in _NAT64:
        return str(IPv4Address(int(address) & 0xFFFFFFFF))
    return str(address.ipv4_mapped or address.sixtofour or address)


def check_upstream(dsn: Dsn, *, allow_private: bool) -> None:
    """Check the DSN of a destination, as far as possible without resolving its host.

    :raise AddressError: the DSN is not allowed; the message says why.
    """
    host = check_host(dsn.host)
    check_port(dsn.port)
    if host in _METADATA_NAMES:
        raise AddressError("the host has an address that is never sent to")
    if not allow_private and dsn.is_loopback:
        raise AddressError(
            "the host has a private address, which UPSTREAM_ALLOW_PRIVATE would allow"
        )
    if host[-1].isdigit() and _ends_in_number(host) or ":" in host:
        check_upstream_address(host, allow_private=allow_private)
    path = _decoded(dsn.prefix)
    if ".." in path or "\\" in path or not path.isprintable():
        raise AddressError("the path leads up or is encoded in an unusual way")


def check_upstream_address(text: str, *, allow_private: bool) -> None:
    """Check the address of a destination before connecting to it.

    :raise AddressError: the address is not allowed.
    """
    check_address(
        carried_address(text), allow_private=allow_private, setting="UPSTREAM_ALLOW_PRIVATE"
    )


def _decoded(path: str) -> str:
    """Return a path without percent encoding, even if it was encoded several times."""
    for _ in range(8):
        decoded = unquote(path)
        if decoded == path:
            return path
        path = decoded
    raise AddressError("the path leads up or is encoded in an unusual way")


def _is_never(address: Address) -> bool:
    return any(address in network for network in _NEVER)
