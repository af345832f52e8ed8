"""Who a client says it is: the public key, in each of the places where SDKs put it.

    X-Sentry-Auth: Sentry sentry_version=7, sentry_key=…, sentry_client=…
    Authorization: Sentry …      the same
    ?sentry_key=…                browsers and Node
    {"dsn": "https://key@host/42"}   the header of an envelope that goes through a tunnel

All that are given must agree. ``sentry_secret`` is read over: it left the protocol long ago.

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
    """What the client says of itself contradicts itself."""


class DsnError(AuthError):
    """What stands for a DSN is none."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A public key, and the project where a DSN named one."""

    key: str
    project_id: int | None = None


class Headers(Protocol):
    """Whatever looks a header up without regard to case."""

    def get(self, name: str, /) -> str | None:
        """Return its value."""


def read_credentials(
    headers: Headers, query_keys: Iterable[str], dsn: object = None
) -> Credentials | None:
    """Return what the client gave, ``None`` when it gave nothing.

    :param headers: looked up as ``X-Sentry-Auth`` and ``Authorization``.
    :param query_keys: every ``sentry_key`` of the query string.
    :param dsn: of the envelope's headers, whatever JSON it is; its host does not count, because
        tunnels and proxies change it.
    :raise AuthError: two of them name different keys.
    :raise DsnError: the DSN is none.
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
    """Return what the client calls itself beside its key, as ``name/version``.

    :param query: ``sentry_client`` of the query string.
    """
    for name in ("X-Sentry-Auth", "Authorization"):
        if found := _values_of_header(headers.get(name), "sentry_client"):
            return found[0]
    return query


def read_dsn(dsn: object) -> Credentials:
    """Return the key and the project of a DSN.

    :raise DsnError: it is none.
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
        return []  # A proxy's own Authorization is none of ours.
    # Servers join a header that was sent twice with a comma, hence "Sentry" again in the middle.
    pairs = (part.partition("=") for part in value[scheme.end() :].split(","))
    return [
        text.strip(" \t\"'")
        for name, _, text in pairs
        if name.lower().removeprefix("sentry ").strip() == wanted
    ]
