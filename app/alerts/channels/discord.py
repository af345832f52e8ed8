"""The channel kind for Discord. It uses a webhook of a channel."""

from __future__ import annotations

import re

from app.alerts.channels.kind import KINDS
from app.alerts.channels.templated import TemplateChannel
from app.alerts.template_values import TEXTS

# A backslash before any of these shows the character itself: formatting, mentions, emoji.
_FORMATS = re.compile(r"[\\*_~`|<>#\[\]()]|@(?=everyone|here)|:(?=[A-Za-z_])")


@KINDS.register("discord", "Discord", position=50)
class Discord(TemplateChannel):
    """Sends an embed, in which nobody is mentioned and nothing of an event is formatting.

    Source: https://docs.discord.com/developers/resources/webhook#execute-webhook and
    https://docs.discord.com/developers/resources/message#embed-object-embed-limits, 2026-11-27.
    """

    summary = "a message to a channel, by its webhook"
    ready_made = """{
  "allowed_mentions": {"parse": []},
  "embeds": [
    {
      "title": "{{title:250}}",
      "url": "{{url}}",
      "description": "{{text:4000}}",
      "color": "{{color}}",
      "timestamp": "{{at}}",
      "fields": [{"name": "Project", "value": "{{project:1000}}", "inline": true}]
    }
  ]
}"""

    def escaped(self, name: str, text: str) -> str:
        """Return text of an event without the formatting of Discord."""
        return _FORMATS.sub(r"\\\g<0>", text) if name in TEXTS else text
