"""The channel kind for Slack. It uses an incoming webhook."""

from __future__ import annotations

import re
from typing import Any

from app.alerts.channels.kind import KINDS, UrlChannel
from app.alerts.messages import MAX_LINES, Notification, more_of, open_all
from app.output import one_line

# A zero-width space.
_MARK = "\u200b"
# Characters that format text at the edge of a word, and words that become emoji.
_FORMATS = re.compile(r"`|(?<![^\W_])[*_~]|[*_~](?![^\W_])")
_EMOJI = re.compile(r":[\w+'-]{1,100}:")


@KINDS.register("slack", "Slack", position=30)
class Slack(UrlChannel):
    """Sends text, and a rich-text block if the notification names issues.

    Other programs that accept such requests read the text, and Slack shows it where space is short.
    Otherwise Slack shows the block. In the block nothing is formatting, a mention or an emoji.

    Source: https://docs.slack.dev/messaging/formatting-message-text and
    https://docs.slack.dev/reference/block-kit/blocks/rich-text-block, 2026-11-25.
    """

    summary = "an incoming webhook of Slack"

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return the message for Slack."""
        content: dict[str, Any] = {"text": _text(notification)}
        if notification.sending.total:
            elements = [{"type": "rich_text_section", "elements": _rich_text(notification)}]
            content["blocks"] = [{"type": "rich_text", "elements": elements}]
        return content


def _text(notification: Notification) -> str:
    where = notification.where
    title = f"*{_as_text(notification.sending.title)}*{f' in {_as_text(where)}' if where else ''}"
    links = " · ".join(f"<{url}|{name}>" for name, url in notification.labelled_links().items())
    return "\n".join([title, *(_linked(notification, line) for line in notification.lines), links])


def _linked(notification: Notification, line: str) -> str:
    """Return a line as Slack text. In the line for further issues, the link becomes a link."""
    total = notification.sending.total
    if total > MAX_LINES and line == more_of(total):
        words = open_all(total)
        return line.replace(words, f"<{notification.links['notice']}|{words}>")
    return _as_text(line)


def _rich_text(notification: Notification) -> list[dict[str, Any]]:
    """Return the message as elements of a rich-text block. Slack does not interpret their text."""
    where = f" in {notification.where}" if notification.where else ""
    found: list[dict[str, Any]] = [
        {"type": "text", "text": notification.title, "style": {"bold": True}},
        {"type": "text", "text": "\n".join([where, *notification.lines, ""])},
    ]
    for name, url in notification.labelled_links().items():
        found += [{"type": "link", "url": url, "text": name}, {"type": "text", "text": " · "}]
    return found[:-1]


def _as_text(value: str) -> str:
    """Return an event's text in a form that Slack shows unchanged.

    After the three escapes, no part of the text can be a link, a mention or a call to a whole
    channel. Slack has no escapes for formatting. So an invisible mark is added on either side of
    each character that would format text.
    """
    line = one_line(value)
    if line.startswith(">"):
        line = f"{_MARK}{line}"  # Slack would show a quotation, even if ">" is escaped.
    line = _EMOJI.sub(lambda found: f":{_MARK}{found[0][1:-1]}{_MARK}:", line)
    line = _FORMATS.sub(lambda found: f"{_MARK}{found[0]}{_MARK}", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
