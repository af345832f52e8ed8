"""The base classes of channel kinds."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from app.alerts.http_sender import HttpSender
from app.alerts.mail import Mailer
from app.alerts.messages import Notification
from app.alerts.outcomes import Outcome
from app.alerts.registry import Kind, Registry
from app.alerts.targets import Targets, parse


class Senders(NamedTuple):
    """The senders that channel kinds use.

    :param mailer: ``None`` if no mail server is set.
    """

    http: HttpSender
    mailer: Mailer | None


class ChannelKind(Kind):
    """A kind of channel.

    :cvar summary: what it sends and where, for the form.
    :cvar address_field: name of its address in the API: ``url`` or ``to``.
    :cvar is_signed: whether a secret signs the messages.
    """

    summary: ClassVar[str]
    address_field: ClassVar[str]
    is_signed: ClassVar[bool] = False

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return an address in the form in which it is stored.

        :raise ValueError: nothing can be sent to it. The message does not repeat the address.
        """
        raise NotImplementedError

    def shown_address(self, address: str) -> str:
        """Return the part of an address that may be shown."""
        raise NotImplementedError

    def missing_setting(self, senders: Senders) -> str:
        """Return in words which setting this kind needs before it can send; empty if none."""
        return ""

    def send(
        self, address: str, secret: str | None, notification: Notification, senders: Senders
    ) -> Outcome:
        """Send a notification and return the outcome."""
        raise NotImplementedError


class UrlChannel(ChannelKind):
    """A kind that posts JSON to a URL. The URL is secret: only its host is shown."""

    address_field = "url"

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return the URL if its host is allowed. This resolves the host over the network."""
        targets.check(text)
        return text

    def shown_address(self, address: str) -> str:
        """Return the host of a URL."""
        return f"{parse(address).origin}/…"

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return the content of the request, before it becomes JSON."""
        raise NotImplementedError

    def headers(
        self, notification: Notification, body: bytes, secret: str | None
    ) -> dict[str, str]:
        """Return the headers of the request besides ``Content-Type``."""
        return {}

    def send(
        self, address: str, secret: str | None, notification: Notification, senders: Senders
    ) -> Outcome:
        """Post the content as JSON and return the outcome."""
        body = json.dumps(self.content(notification), default=_as_json).encode()
        headers = {"Content-Type": "application/json", **self.headers(notification, body, secret)}
        return senders.http.post(address, body, headers)


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


KINDS = Registry[ChannelKind]()
