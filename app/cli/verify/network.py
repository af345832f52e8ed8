"""Checks of the connection to Sentry, one for each step, so that the failing step is known.

    DSN parses → resolves → connects → TLS → accepts (acceptance.py)

The checks use no proxy, because they test the direct connection. If a proxy is set, the output says
so.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from app.cli.verify import checks
from app.cli.verify.checks import Run, within
from app.delivery.client import tls_context
from app.protocol.addresses import AddressError, check_upstream, check_upstream_address
from app.protocol.dsn import PORTS, Dsn
from app.web.checks import Result, Verdict, combined, failed, passed, warned
from config import Config

# All addresses share the time limit. With more addresses, a slow one would seem to be down.
MAX_ADDRESSES = 4
MIN_CERTIFICATE_DAYS = 14
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")

NO_DSN = Verdict(
    Result.SKIP,
    "there is no SENTRY_DSN: errors are kept here and go nowhere",
    "set SENTRY_DSN to the DSN of a Sentry project",
    blocks=True,
)

_UNUSUAL = "see that SENTRY_DSN leads to a Sentry; nothing is changed by itself"

# The X509_V_ERR_… codes of OpenSSL for which the check suggests a specific fix.
# Source: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/, 2026-11-23.
EXPIRED, NOT_YET_VALID = 10, 9
WRONG_NAMES = frozenset({62, 64})


def dsn_parses(run: Run) -> Verdict:
    """Parse the DSN; the output shows its host, path and project, but not its key."""
    if not run.config.SENTRY_DSN:
        return NO_DSN
    try:
        target = run.target = Dsn.of(run.config.SENTRY_DSN)
    except ValueError as error:
        return failed(
            run.clean(str(error)), "copy the DSN again: Sentry, Project Settings, Client Keys"
        )
    found = [passed(f"{target.origin}{target.prefix}, project {target.project}")]
    if _leads_here(target, run.config):
        found.append(
            warned(
                "it leads back to this service",
                "SENTRY_DSN is for a project in Sentry; the DSNs made here are for other programs",
            )
        )
    try:
        check_upstream(target, allow_private=run.config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        found.append(warned(f"as a project's DSN it would be refused: {error}", _UNUSUAL))
    return combined(*found)


def _leads_here(target: Dsn, config: Config) -> bool:
    public = urlsplit(config.public_url)
    port = public.port or PORTS.get(public.scheme)
    if (target.host, target.port, target.prefix) == (public.hostname, port, public.path):
        return True
    return target.is_loopback and target.port == config.API_PORT


# ---- resolves -----------------------------------------------------------------------------------


def resolves(run: Run) -> Verdict:
    """Resolve the host of the DSN."""
    target = run.aim()
    try:
        found = within(checks.TIMEOUT_S, _look_up, target)
    except socket.gaierror as error:
        return failed(f"{target.host}: {error.strerror}", _lookup_mend(error.errno))
    except TimeoutError:
        detail = f"{target.host}: no answer within {checks.TIMEOUT_S:g} s"
        return failed(detail, _lookup_mend(socket.EAI_AGAIN))
    run.addresses = found[:MAX_ADDRESSES]
    names = [str(address[4][0]) for address in run.addresses]
    if names == [target.host]:
        return passed(f"{target.host} is an address already")
    summary = passed(f"{target.host} is {', '.join(names)}")
    try:
        for name in names:
            check_upstream_address(name, allow_private=run.config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        return combined(summary, warned(f"it goes on, but {error}", _UNUSUAL))
    return summary


def _look_up(target: Dsn) -> list[Any]:
    return socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)


def _lookup_mend(code: int | None) -> str:
    if code == socket.EAI_AGAIN:
        return "the name server does not answer: look at the network and at /etc/resolv.conf"
    return "check the spelling of the host in SENTRY_DSN, and that this machine's DNS knows it"


# ---- connects -----------------------------------------------------------------------------------


def connects(run: Run) -> Verdict:
    """Open a TCP connection to the host of the DSN."""
    target = run.aim()
    where, proxy = f"{target.host}, port {target.port}", _proxy_note()
    try:
        with open_socket(run.addresses) as sock:
            peer = sock.getpeername()[0]
    except TimeoutError:
        detail = f"{where}: no answer within {checks.TIMEOUT_S:g} s{proxy}"
        return failed(detail, f"let this machine through the firewall to {where}")
    except ConnectionRefusedError:
        mend = "see that Sentry runs, and that host and port in SENTRY_DSN are right"
        return failed(f"{where}: refused, nothing listens there{proxy}", mend)
    except OSError as error:
        mend = "look at this machine's network and its routes"
        return failed(f"{where}: {error.strerror or type(error).__name__}{proxy}", mend)
    return passed(f"{peer}, port {target.port}{proxy}")


def open_socket(addresses: list[Any]) -> socket.socket:
    """Return a connection to the first address that answers, with a timeout of ``TIMEOUT_S``.

    :raise OSError: no address answered; the error of the last address.
    """
    deadline, last = time.monotonic() + checks.TIMEOUT_S, OSError("the name has no address")
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.1, deadline - time.monotonic()) / (len(addresses) - position))
            sock.connect(address)
            sock.settimeout(checks.TIMEOUT_S)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise last


def open_stream(run: Run, target: Dsn) -> socket.socket:
    """Return a connection to the target, after the TLS handshake if the DSN uses https.

    :raise OSError: the connection or the handshake failed.
    """
    sock = open_socket(run.addresses)
    if not target.is_encrypted:
        return sock
    try:
        return tls_context().wrap_socket(sock, server_hostname=target.host)
    except OSError:
        sock.close()
        raise


def _proxy_note() -> str:
    # Only the names of the variables: the URL of a proxy may contain a password.
    names = [name for name in PROXY_VARIABLES if os.environ.get(name)]
    return f" ({' and '.join(names)} not used here)" if names else ""


# ---- TLS ----------------------------------------------------------------------------------------


def tls(run: Run) -> Verdict:
    """Do the TLS handshake and check the certificate."""
    target = run.aim()
    if not target.is_encrypted:
        return _not_encrypted(target)
    try:
        version, certificate = within(checks.TIMEOUT_S, _shake_hands, run, target)
    except ssl.SSLCertVerificationError as error:
        return _not_trusted(target, error)
    except TimeoutError:
        return _no_handshake(target, f"no answer within {checks.TIMEOUT_S:g} s")
    except (ssl.SSLError, OSError) as error:
        return _no_handshake(target, run.clean(getattr(error, "reason", None) or str(error)))
    return _certificate(version, certificate)


def _shake_hands(run: Run, target: Dsn) -> tuple[str, dict[str, Any]]:
    with open_stream(run, target) as sock:
        if not isinstance(sock, ssl.SSLSocket):
            return "", {}
        return sock.version() or "TLS", dict(sock.getpeercert() or {})


def _not_encrypted(target: Dsn) -> Verdict:
    if target.is_loopback:
        return Verdict(Result.SKIP, "http to this machine needs none")
    return warned(
        "not encrypted: the key and every event can be read on the way",
        "use the https:// address of Sentry in SENTRY_DSN",
    )


def _not_trusted(target: Dsn, error: ssl.SSLCertVerificationError) -> Verdict:
    detail = f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
    if error.verify_code in (EXPIRED, NOT_YET_VALID):
        return failed(
            detail, "renew the certificate of the server; check this machine's clock, too"
        )
    if error.verify_code in WRONG_NAMES:
        return failed(
            detail, f"use a name in SENTRY_DSN that it is made out for, not {target.host}"
        )
    return failed(detail, "name a file with the authority that signed it: SSL_CERT_FILE=/…/ca.pem")


def _no_handshake(target: Dsn, reason: str) -> Verdict:
    return failed(
        f"no TLS on port {target.port}: {reason}",
        "see that scheme and port in SENTRY_DSN are right: http:// has no TLS",
    )


def _certificate(version: str, certificate: dict[str, Any]) -> Verdict:
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // 86_400)
    detail = f"{version}, the certificate is valid for {days} more days"
    if days < MIN_CERTIFICATE_DAYS:
        return warned(detail, "renew the certificate of the server")
    return passed(detail)
