"""The credentials of a client: the public key, read from all places where SDKs put it.

    X-Sentry-Auth: Sentry sentry_version=7, sentry_key=…, sentry_client=…
    Authorization: Sentry …      the same
    ?sentry_key=…                browsers and Node
    {"dsn": "https://key@host/42"}   the header of an envelope that goes through a tunnel

All given keys must be the same. ``sentry_secret`` is ignored: it left the protocol long ago.

Source: https://develop.sentry.dev/sdk/overview/#authentication, 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"\s{0,20}sentry[\s,]{1,20}", re.IGNORECASE)


class AuthError(ValueError):
    """The credentials in a request contradict each other."""


class DsnError(AuthError):
    """The DSN in an envelope is not a valid DSN."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A public key, and the project id if a DSN contains it."""

    key: str
    project_id: int | None = None


class Headers(Protocol):
    """A mapping of headers that ignores the case of names."""

    def get(self, name: str, /) -> str | None:
        """Return the value of a header, or ``None``."""


def read_credentials(
    headers: Headers, query_keys: Iterable[str], dsn: object = None
) -> Credentials | None:
    """Return the credentials of the client, or ``None`` if it sent none.

    :param headers: ``X-Sentry-Auth`` and ``Authorization`` are read.
    :param query_keys: every ``sentry_key`` of the query string.
    :param dsn: the DSN in the envelope's headers, any JSON value. Its host is ignored, because
        tunnels and proxies change it.
    :raise AuthError: the request has different keys.
    :raise DsnError: the DSN is not valid.
    """
    named = [
        *_values_of_header(headers.get("X-Sentry-Auth"), "sentry_key"),
        *_values_of_header(headers.get("Authorization"), "sentry_key"),
        *query_keys,
    ]
    found = [Credentials(key) for key in named if key]
    if dsn is not None:
        found.append(read_dsn(dsn))
    if len({credentials.key for credentials in found}) > 1:
        raise AuthError("the request names different public keys")
    return found[-1] if found else None


def read_client_name(headers: Headers, query: str | None = None) -> str | None:
    """Return the name that the client sends with its key, as ``name/version``.

    :param query: ``sentry_client`` of the query string.
    """
    for name in ("X-Sentry-Auth", "Authorization"):
        if found := _values_of_header(headers.get(name), "sentry_client"):
            return found[0]
    return query


def read_dsn(dsn: object) -> Credentials:
    """Return the key and the project id of a DSN.

    :raise DsnError: the DSN is not valid.
    """
    try:
        parts = urlsplit(dsn if isinstance(dsn, str) else "")
        key, project = unquote(parts.username or ""), parts.path.rstrip("/").rpartition("/")[2]
    except ValueError as error:
        raise DsnError("the envelope's dsn is no DSN") from error
    if not key or not (project.isascii() and project.isdigit()) or len(project) > 18:
        raise DsnError("the envelope's dsn is no DSN")
    return Credentials(key, int(project))


def _values_of_header(value: str | None, wanted: str) -> list[str]:
    scheme = _SCHEME.match(value or "")
    if value is None or scheme is None:
        return []  # Ignore an Authorization header that a proxy uses.
    # Servers join a header that was sent twice with a comma, so "Sentry" may also be in the middle.
    pairs = (part.partition("=") for part in value[scheme.end() :].split(","))
    return [
        text.strip(" \t\"'")
        for name, _, text in pairs
        if name.lower().removeprefix("sentry ").strip() == wanted
    ]
