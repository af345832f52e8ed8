"""Slack, by an incoming webhook."""

from __future__ import annotations

import re
from typing import Any

from app.alerts.channels.kind import KINDS, UrlChannel
from app.alerts.messages import MAX_LINES, Notification, more_of, open_all
from app.output import one_line

# A space without width.
_MARK = "\u200b"
# What formats text where it stands at the edge of a word, and words that are emoji.
_FORMATS = re.compile(r"`|(?<![^\W_])[*_~]|[*_~](?![^\W_])")
_EMOJI = re.compile(r":[\w+'-]{1,100}:")


@KINDS.register("slack", "Slack", position=30)
class Slack(UrlChannel):
    """Text, and a block where titles of issues are in it.

    The text is what other programs read that take such requests, and what Slack shows where it has
    no room. Otherwise Slack shows the block, in which nothing is formatting, a mention or an emoji.

    Source: https://docs.slack.dev/messaging/formatting-message-text and
    https://docs.slack.dev/reference/block-kit/blocks/rich-text-block, 2026-11-25.
    """

    summary = "an incoming webhook of Slack"

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return the message."""
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
    """Return a line as text; in the one that leads to further issues the link is one."""
    total = notification.sending.total
    if total > MAX_LINES and line == more_of(total):
        words = open_all(total)
        return line.replace(words, f"<{notification.links['notice']}|{words}>")
    return _as_text(line)


def _rich_text(notification: Notification) -> list[dict[str, Any]]:
    """Return the same as elements of a block, in which text is text."""
    where = f" in {notification.where}" if notification.where else ""
    found: list[dict[str, Any]] = [
        {"type": "text", "text": notification.title, "style": {"bold": True}},
        {"type": "text", "text": "\n".join([where, *notification.lines, ""])},
    ]
    for name, url in notification.labelled_links().items():
        found += [{"type": "link", "url": url, "text": name}, {"type": "text", "text": " · "}]
    return found[:-1]


def _as_text(value: str) -> str:
    """Return text of an event so that Slack shows it as it is.

    With the three escapes nothing of it can be a link, a mention or a call to a whole channel.
    There are none for formatting, so an invisible mark stands on either side of what would format.
    """
    line = one_line(value)
    if line.startswith(">"):
        line = f"{_MARK}{line}"  # A quotation, even when it is escaped.
    line = _EMOJI.sub(lambda found: f":{_MARK}{found[0][1:-1]}{_MARK}:", line)
    line = _FORMATS.sub(lambda found: f"{_MARK}{found[0]}{_MARK}", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
