"""Channels whose body is a template, and the kind for any receiver of JSON.

A kind for one product is a subclass with a template that is ready-made, and the values that only
its address or its secret have. A person may change the template of a channel.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from app.alerts.channels.kind import KINDS, ChannelValues, UrlChannel
from app.alerts.messages import Notification
from app.alerts.template import TemplateError, fill, names_in, parse
from app.alerts.template_values import NAMES, largest, values_of

# Stands in previews where a secret is sent.
MASK = "••••••••"

# A zero-width space.
NOTHING = "\u200b"


class TemplateChannel(UrlChannel):
    """A kind that posts a template, filled with the values of a notification.

    :cvar ready_made: the template of a channel that has none of its own.
    :cvar hidden_names: names of values that are secret, with their meaning; previews mask them.
    """

    has_template = True
    ready_made: ClassVar[str]
    hidden_names: ClassVar[dict[str, str]] = {}

    def names(self) -> dict[str, str]:
        """Return the names that a template may use, with their meaning."""
        return self.hidden_names | NAMES

    def checked_template(self, text: str) -> str:
        """Return a template.

        :raise TemplateError: it cannot be used, or a body could be too large.
        """
        parse(text, self.names())
        self.preview(text, largest())
        return text

    def closes_incidents(self, template: str | None) -> bool:
        """Return whether the receiver learns by ``{{action}}`` that an issue is resolved."""
        try:
            return "action" in names_in(self._document(template))
        except TemplateError:
            return False  # A template of another version; what it says is an error when it is sent.

    def hidden(self, values: ChannelValues) -> dict[str, Any]:
        """Return the values of :attr:`hidden_names` of a channel."""
        return {}

    def escaped(self, name: str, text: str) -> str:
        """Return a value in a form that the receiver shows unchanged."""
        return text

    def body(self, values: ChannelValues, notification: Notification) -> bytes:
        """Return the body of a request."""
        return self._filled(values.template, notification, self.hidden(values))

    def preview(self, template: str | None, notification: Notification) -> bytes:
        """Return the body that would be sent, with its secrets masked."""
        return self._filled(template, notification, dict.fromkeys(self.hidden_names, MASK))

    def _filled(
        self, template: str | None, notification: Notification, hidden: dict[str, Any]
    ) -> bytes:
        document = self._document(template)
        return fill(document, values_of(notification) | hidden, self.escaped)

    def _document(self, template: str | None) -> dict[str, Any]:
        return _parsed(template or self.ready_made, tuple(self.names()))


@lru_cache(64)
def _parsed(text: str, known: tuple[str, ...]) -> dict[str, Any]:
    return parse(text, known)


@KINDS.register("template", "Webhook by template", position=25)
class Template(TemplateChannel):
    """Sends JSON of any shape to a URL."""

    summary = "JSON of your own shape to a URL"
    key_label = "Secret"
    key_help = "what {{secret}} stands for, if the template has it."
    hidden_names: ClassVar = {"secret": "the secret of this channel"}
    ready_made = """{
  "title": "{{title}}",
  "text": "{{text}}",
  "url": "{{url}}",
  "project": "{{project}}",
  "level": "{{level}}",
  "environment": "{{environment}}",
  "release": "{{release}}",
  "events": "{{events}}",
  "users": "{{users}}",
  "at": "{{at}}"
}"""

    def hidden(self, values: ChannelValues) -> dict[str, Any]:
        """Return the secret of a channel."""
        return {"secret": values.secret or ""}
