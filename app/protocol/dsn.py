"""The DSN: the address that envelopes are sent to, and the public key for it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Dsn:
    """A parsed DSN; its repr shows neither its key nor its secret.

    :param prefix: the path that Sentry is served under, without a slash at the end.
    :param secret: the second half of a key from before 2018; no longer needed.
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
        """Return a parsed DSN.

        :raise ValueError: the text is not a DSN.
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
        """Whether the connection uses TLS."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def origin(self) -> str:
        """The scheme, the host, and the port unless it is the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == PORTS[self.scheme] else f":{self.port}"
        )

    @property
    def path(self) -> str:
        """The path of the envelope endpoint."""
        return f"{self.prefix}/api/{self.project}/envelope/"

    def authorization(self, client: str) -> str:
        """Return the value of the header ``X-Sentry-Auth``.

        :param client: name and version of the sender, as ``name/version``.

        Source: https://develop.sentry.dev/sdk/foundations/transport/authentication/, 2026-11-23.
        """
        pairs = ["sentry_version=7", f"sentry_client={client}", f"sentry_key={self.key}"]
        if self.secret:
            pairs.append(f"sentry_secret={self.secret}")
        return f"Sentry {', '.join(pairs)}"
