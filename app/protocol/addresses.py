"""Rules for addresses that a person may have this service send to; pure, nothing is resolved here.

Public addresses are allowed, private ones and loopback where a setting says so. Link-local and
metadata addresses, multicast and what is reserved never are.

Ports: 80, 443 and those from 1024 on. Below them other protocols than HTTP listen, some of which
take a POST for commands.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote

from app.protocol.dsn import PORTS, Dsn

LOWEST_PORT = 1024
Address = IPv4Address | IPv6Address

# A name as DNS has it. What is written in another alphabet may be normalised to digits and dots.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# A host that ends so is an address to some part of the system, whatever it looks like: 2130706433,
# 0x7f.1, 127.1. Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
# Names of metadata services, whatever they resolve to.
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
_NAT64 = ip_network("64:ff9b::/96")


class AddressError(ValueError):
    """Nothing is sent there; the message says why and repeats nothing of what was given."""


def check_host(host: str) -> str:
    """Return a host as it is resolved: an address in its usual form, or a name.

    :param host: in lower case, an IPv6 address without brackets.
    :raise AddressError: it is no name and no address written in the usual way.
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
    """Check a port.

    :raise AddressError: it is below 1024 and neither 80 nor 443.
    """
    if port not in PORTS.values() and port < LOWEST_PORT:
        raise AddressError(f"the port is 80, 443 or one from {LOWEST_PORT} on")


def check_address(text: str, *, allow_private: bool, setting: str) -> None:
    """Check an address that a host resolved to.

    :param setting: which would allow private ones.
    :raise AddressError: it is not allowed.
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
    """Return the IPv4 address that an IPv6 address stands for, else the address itself.

    In a network that has IPv6 alone every host of the other kind is reached by such a one.
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
    """Check a DSN that envelopes are to be sent on to, as far as it can be without resolving.

    :raise AddressError: it is not allowed; says why.
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
    """Check the address that a connection to an upstream is about to be made to.

    :raise AddressError: it is not allowed.
    """
    check_address(
        carried_address(text), allow_private=allow_private, setting="UPSTREAM_ALLOW_PRIVATE"
    )


def _decoded(path: str) -> str:
    """Undo percent encoding, also where it was applied several times."""
    for _ in range(8):
        decoded = unquote(path)
        if decoded == path:
            return path
        path = decoded
    raise AddressError("the path leads up or is encoded in an unusual way")


def _is_never(address: Address) -> bool:
    return any(address in network for network in _NEVER)
