"""The channel kind for Telegram. It uses a bot."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from app.alerts.channels.kind import KINDS, ChannelValues
from app.alerts.channels.templated import TemplateChannel
from app.alerts.targets import Targets

_PATH = re.compile(r"/bot[0-9]{1,20}:[A-Za-z0-9_-]{10,200}/sendMessage")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64}")
EXPECTED = "https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat> is expected"


@KINDS.register("telegram", "Telegram", position=80)
class Telegram(TemplateChannel):
    """Sends plain text, in which Telegram reads no formatting.

    Source: https://core.telegram.org/bots/api#sendmessage, 2026-11-27.
    """

    summary = "a message of a bot to a chat"
    address_help = "https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>."
    hidden_names: ClassVar = {"chat_id": "the chat that the address names"}
    ready_made = """{
  "chat_id": "{{chat_id}}",
  "text": "{{title:300}}\\n\\n{{text:3000}}\\n\\n{{url}}",
  "link_preview_options": {"is_disabled": true}
}"""

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return the URL if it has the path of a bot and names a chat."""
        super().checked_address(text, targets)
        if not _PATH.fullmatch(urlsplit(text).path) or not _CHAT.fullmatch(_chat(text)):
            raise ValueError(EXPECTED)
        return text

    def url(self, address: str) -> str:
        """Return the URL without the chat, which stands in the body."""
        return urlsplit(address)._replace(query="", fragment="").geturl()

    def hidden(self, values: ChannelValues) -> dict[str, Any]:
        """Return the chat of a channel."""
        return {"chat_id": _chat(values.address)}


def _chat(address: str) -> str:
    return parse_qs(urlsplit(address).query).get("chat_id", [""])[0]
