"""What a kind of channel is."""

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
    """What kinds send with.

    :param mailer: ``None`` where no mail server is set.
    """

    http: HttpSender
    mailer: Mailer | None


class ChannelKind(Kind):
    """A kind of channel.

    :cvar summary: what it sends and where to, for the form.
    :cvar address_field: what the API calls its address: ``url`` or ``to``.
    :cvar is_signed: it has a secret that signs what it sends.
    """

    summary: ClassVar[str]
    address_field: ClassVar[str]
    is_signed: ClassVar[bool] = False

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return an address as it is kept.

        :raise ValueError: nothing can be sent there; the message repeats nothing of the address.
        """
        raise NotImplementedError

    def shown_address(self, address: str) -> str:
        """Return what may be shown of an address."""
        raise NotImplementedError

    def missing_setting(self, senders: Senders) -> str:
        """Return what has to be set before this kind can send, in words; empty if nothing."""
        return ""

    def send(
        self, address: str, secret: str | None, notification: Notification, senders: Senders
    ) -> Outcome:
        """Send a notification, and return what became of it."""
        raise NotImplementedError


class UrlChannel(ChannelKind):
    """A kind that posts JSON to a URL. The URL is a secret: only its host is shown."""

    address_field = "url"

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return the URL, if its host may be sent to; asks the network for its addresses."""
        targets.check(text)
        return text

    def shown_address(self, address: str) -> str:
        """Return the host of a URL."""
        return f"{parse(address).origin}/…"

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return what is posted."""
        raise NotImplementedError

    def headers(
        self, notification: Notification, body: bytes, secret: str | None
    ) -> dict[str, str]:
        """Return headers besides ``Content-Type``."""
        return {}

    def send(
        self, address: str, secret: str | None, notification: Notification, senders: Senders
    ) -> Outcome:
        """Post the content."""
        body = json.dumps(self.content(notification), default=_as_json).encode()
        headers = {"Content-Type": "application/json", **self.headers(notification, body, secret)}
        return senders.http.post(address, body, headers)


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


KINDS = Registry[ChannelKind]()
