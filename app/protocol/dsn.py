"""The DSN: where envelopes go, and the key that opens it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Dsn:
    """A DSN taken apart; printing it shows neither its key nor its secret.

    :param prefix: the path that Sentry is served below, without a last slash.
    :param secret: the second half of keys as they were before 2018; no longer needed.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    project: str
    key: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, dsn: str) -> Dsn:
        """Take a DSN apart.

        :raise ValueError: it is none.
        """
        parts = urlsplit(dsn)
        prefix, _, project = parts.path.rpartition("/")
        if parts.scheme not in PORTS or not parts.hostname or not parts.username:
            raise ValueError("not a DSN: expected https://key@host/project")
        if not project.isdigit():
            raise ValueError("not a DSN: its path does not end in a project's number")
        port = parts.port or PORTS[parts.scheme]
        host, key = parts.hostname, parts.username
        return cls(parts.scheme, host, port, prefix, project, key, parts.password)

    @property
    def is_encrypted(self) -> bool:
        """Whether the way there is TLS."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def origin(self) -> str:
        """Scheme, host and port, the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == PORTS[self.scheme] else f":{self.port}"
        )

    @property
    def path(self) -> str:
        """The path that takes envelopes."""
        return f"{self.prefix}/api/{self.project}/envelope/"

    def authorization(self, client: str) -> str:
        """Return the value of ``X-Sentry-Auth``.

        :param client: name and version of who sends, as ``name/version``.

        Source: https://develop.sentry.dev/sdk/foundations/transport/authentication/, 2026-11-23.
        """
        pairs = ["sentry_version=7", f"sentry_client={client}", f"sentry_key={self.key}"]
        if self.secret:
            pairs.append(f"sentry_secret={self.secret}")
        return f"Sentry {', '.join(pairs)}"
