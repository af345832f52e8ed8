"""The channel kind for Microsoft Teams. It uses a webhook of the Workflows app."""

from __future__ import annotations

import json
from typing import Any

from app.alerts.channels.kind import KINDS, UrlChannel
from app.alerts.messages import Notification

# The limit for all texts of a card. Teams accepts messages of about 28 KB, including what Workflows
# adds to them.
MAX_TEXT_BYTES = 20_000
# The size of a paragraph without its text.
_PARAGRAPH_BYTES = 100


@KINDS.register("teams", "Microsoft Teams", position=40)
class Teams(UrlChannel):
    """Sends an Adaptive Card: the title, a paragraph for each line, a button for each link.

    The texts are runs of rich text. Teams does not read them as Markdown, so a title is shown
    unchanged.

    Source: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/
    connectors-using and https://adaptivecards.io/explorer/RichTextBlock.html, 2026-11-27.
    """

    summary = "a card to a channel or chat, by a Workflows webhook"

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return a message with the card as its attachment."""
        title = notification.title + (f" in {notification.where}" if notification.where else "")
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [
                _paragraph(title, weight="bolder"),
                *map(_paragraph, _lines_that_fit(notification.lines)),
            ],
            "actions": [
                {"type": "Action.OpenUrl", "title": name, "url": url}
                for name, url in notification.labelled_links().items()
            ],
        }
        content_type = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _paragraph(text: str, **style: str) -> dict[str, Any]:
    # A card evaluates {{DATE(…)}}. A zero-width space prevents this.
    run = {"type": "TextRun", "text": text.replace("{{", "{\u200b{"), **style}
    return {"type": "RichTextBlock", "inlines": [run]}


def _lines_that_fit(lines: list[str]) -> list[str]:
    """Return the lines that fit into a message, followed by ``…`` if some do not fit."""
    kept: list[str] = []
    room = MAX_TEXT_BYTES
    for line in lines:
        room -= len(json.dumps(line)) + _PARAGRAPH_BYTES
        if room < 0:
            return [*kept, "…"]
        kept.append(line)
    return kept
