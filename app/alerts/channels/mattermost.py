"""The channel kind for Mattermost. It uses an incoming webhook."""

from __future__ import annotations

import re

from app.alerts.channels.kind import KINDS
from app.alerts.channels.templated import NOTHING, TemplateChannel
from app.alerts.template_values import TEXTS

# A backslash before any of these shows the character itself.
_FORMATS = re.compile(r"[\\*_~`|>#\[\]()!]")
# Mentions and emoji have no escape: an invisible mark after the sign ends them.
_SIGNS = re.compile(r"[@:](?=\w)")


@KINDS.register("mattermost", "Mattermost", position=60)
class Mattermost(TemplateChannel):
    """Sends Markdown, in which nobody is mentioned and nothing of an event is formatting.

    Source: https://developers.mattermost.com/integrate/webhooks/incoming/, 2026-11-27.
    """

    summary = "a message, by an incoming webhook"
    ready_made = """{
  "text": "**{{title:600}}**\\n{{text:12000}}\\n[Open in DevEnviro]({{url}})"
}"""

    def escaped(self, name: str, text: str) -> str:
        """Return text of an event without the formatting of Mattermost."""
        if name not in TEXTS:
            return text
        return _SIGNS.sub(rf"\g<0>{NOTHING}", _FORMATS.sub(r"\\\g<0>", text))
