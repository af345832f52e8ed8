"""Failures of the network in words, and when a server wants to be called again.

The words are our own. They contain no address and no text of the server.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpcore

from app.memory.vectors.errors import RETRY_AFTER_S

# The longest wait. A server that asks for hours is called again after this time.
MAX_RETRY_AFTER_S = 300


class Peer(NamedTuple):
    """The words for a server that is called.

    :param url: the setting with its address.
    :param timeout: the setting with the longest time of a call.
    :param start: what to do if nothing listens at the address.
    :param broken_off: what to do if it closes connections.
    """

    name: str
    url: str
    timeout: str
    start: str
    broken_off: str


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes. qdrant-client stores some causes in an attribute."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "source", None) or error.__cause__ or error.__context__


def network_words(error: BaseException, peer: Peer) -> str | None:
    """Return in words why a server gave no answer, ``None`` if the network was not the cause."""
    if isinstance(error, httpcore.ConnectError | OSError):
        return _unreachable(error, peer)
    if isinstance(error, httpcore.ProxyError):
        return f"the proxy does not connect to {peer.name}: look at HTTPS_PROXY"
    if isinstance(error, httpcore.TimeoutException):
        return f"{peer.name} did not answer in time: look at its load, or raise {peer.timeout}"
    if isinstance(error, httpcore.NetworkError | httpcore.RemoteProtocolError):
        return f"{peer.name} broke the connection off: {peer.broken_off}"
    return None


def _unreachable(error: BaseException, peer: Peer) -> str:
    found = list(causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in found):
        return f"the name in {peer.url} cannot be resolved: correct it, or the network"
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in found):
        return f"the certificate of {peer.name} is not trusted: SSL_CERT_FILE names authorities"
    if any(isinstance(cause, ssl.SSLError) for cause in found):
        return f"{peer.name} does not speak TLS at {peer.url}: use http:, or another port"
    if any(isinstance(cause, ConnectionRefusedError) for cause in found):
        return f"nobody listens at {peer.url}: {peer.start}, or correct the address"
    return f"{peer.name} cannot be reached: look at {peer.url} and the network"


def seconds_of(header: str | None) -> int:
    """Return the seconds of a ``Retry-After``, 1 to 300, or 5 where it has no number."""
    if header is None or not header.strip().isdecimal():
        return RETRY_AFTER_S
    # At most nine digits: Python refuses to convert numbers with some thousands of digits.
    return max(1, min(int(header.strip()[:9]), MAX_RETRY_AFTER_S))
