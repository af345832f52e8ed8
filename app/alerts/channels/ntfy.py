"""The channel kind for ntfy, on ntfy.sh or a server of one's own."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

from app.alerts.channels.kind import KINDS, ChannelValues
from app.alerts.channels.templated import TemplateChannel
from app.alerts.messages import Notification
from app.alerts.targets import Targets

_PATH = re.compile(r"/[-_A-Za-z0-9]{1,64}")
EXPECTED = "https://ntfy.sh/<topic> is expected, or the same on a server of yours"


@KINDS.register("ntfy", "ntfy", position=90)
class Ntfy(TemplateChannel):
    """Publishes as JSON. The topic is secret: it is all that one needs to read it.

    Source: https://docs.ntfy.sh/publish/#publish-as-json, 2026-11-27.
    """

    summary = "a push notification to a topic"
    address_help = "https://ntfy.sh/<topic>, or the same on a server of yours."
    key_label = "Access token"
    key_help = "an access token, if the topic needs one."
    hidden_names: ClassVar = {"topic": "the topic that the address names"}
    # A message of more than 4,096 bytes becomes a file.
    ready_made = """{
  "topic": "{{topic}}",
  "title": "{{title:250}}",
  "message": "{{text:1000}}",
  "priority": "{{priority}}",
  "tags": ["{{severity}}"],
  "click": "{{url}}"
}"""

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return the URL if it names a topic."""
        super().checked_address(text, targets)
        parts = urlsplit(text)
        if not _PATH.fullmatch(parts.path) or parts.query:
            raise ValueError(EXPECTED)
        return text

    def url(self, address: str) -> str:
        """Return the root of the server, which takes JSON."""
        return urlsplit(address)._replace(path="/", fragment="").geturl()

    def headers(
        self, notification: Notification, body: bytes, secret: str | None
    ) -> dict[str, str]:
        """Return the header with the access token, if the channel has one."""
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    def hidden(self, values: ChannelValues) -> dict[str, Any]:
        """Return the topic of a channel."""
        return {"topic": urlsplit(values.address).path.strip("/")}
