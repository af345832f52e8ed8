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


class ChannelValues(NamedTuple):
    """What a person has set for a channel. ``repr`` of a channel shows none of it.

    :param template: ``None`` for the ready-made template of its kind.
    """

    address: str
    secret: str | None = None
    template: str | None = None


class Request(NamedTuple):
    """A request to a receiver."""

    url: str
    body: bytes
    headers: dict[str, str]


class ChannelKind(Kind):
    """A kind of channel.

    :cvar summary: what it sends and where, for the form.
    :cvar address_field: name of its address in the API: ``url`` or ``to``.
    :cvar address_help: what its address looks like, if that is special.
    :cvar default_address: the address of a channel for which a person gives none.
    :cvar key_help: a sentence about its secret, from its second word.
    :cvar is_signed: whether a secret signs the messages; one is made if a person gives none.
    :cvar key_label: what its secret is; empty if it has none.
    :cvar needs_secret: whether a person has to give it.
    :cvar has_template: whether a person may set what it sends.
    """

    summary: ClassVar[str]
    address_field: ClassVar[str]
    address_help: ClassVar[str] = ""
    default_address: ClassVar[str | None] = None
    is_signed: ClassVar[bool] = False
    key_label: ClassVar[str] = ""
    key_help: ClassVar[str] = ""
    needs_secret: ClassVar[bool] = False
    has_template: ClassVar[bool] = False
    ready_made: ClassVar[str] = ""

    @property
    def has_secret(self) -> bool:
        """Whether a channel of this kind may have a secret."""
        return bool(self.key_label)

    def names(self) -> dict[str, str]:
        """Return the names that a template may use, with their meaning."""
        return {}

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return an address in the form in which it is stored.

        :raise ValueError: nothing can be sent to it. The message does not repeat the address.
        """
        raise NotImplementedError

    def shown_address(self, address: str) -> str:
        """Return the part of an address that may be shown."""
        raise NotImplementedError

    def checked_secret(self, text: str) -> str:
        """Return a secret that a person gave.

        :raise ValueError: it cannot be one. The message does not repeat it.
        """
        return text

    def checked_template(self, text: str) -> str:
        """Return a template that a person gave.

        :raise ValueError: it cannot be used.
        """
        raise NotImplementedError

    def closes_incidents(self, template: str | None) -> bool:
        """Return whether the receiver learns that an issue is resolved."""
        return False

    def preview(self, template: str | None, notification: Notification) -> bytes | None:
        """Return the body that would be sent, with secrets masked; ``None`` if it is no JSON.

        :raise ValueError: the template cannot be used.
        """
        return None

    def missing_setting(self, senders: Senders) -> str:
        """Return in words which setting this kind needs before it can send; empty if none."""
        return ""

    def send(self, values: ChannelValues, notification: Notification, senders: Senders) -> Outcome:
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

    def url(self, address: str) -> str:
        """Return the URL of the request for an address."""
        return address

    def body(self, values: ChannelValues, notification: Notification) -> bytes:
        """Return the body of the request."""
        return json.dumps(self.content(notification), default=_as_json).encode()

    def preview(self, template: str | None, notification: Notification) -> bytes | None:
        """Return the body that would be sent."""
        return self.body(ChannelValues(""), notification)

    def request(self, values: ChannelValues, notification: Notification) -> Request:
        """Return the request that sends a notification.

        :raise ValueError: the template of the channel cannot be used any more.
        """
        body = self.body(values, notification)
        headers = self.headers(notification, body, values.secret)
        return Request(
            self.url(values.address), body, {"Content-Type": "application/json", **headers}
        )

    def send(self, values: ChannelValues, notification: Notification, senders: Senders) -> Outcome:
        """Post the request and return the outcome."""
        try:
            request = self.request(values, notification)
        except ValueError as error:
            return Outcome(False, note=f"the template: {error}", is_final=True)
        return senders.http.post(*request)


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


KINDS = Registry[ChannelKind]()
