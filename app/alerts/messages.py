"""The content of a notification. Every kind of channel formats it in its own way.

Notification ──▶ channels/<kind>.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.output import one_line

# The most issues that get one line each.
MAX_LINES = 10
# The most characters that are stored.
MAX_TITLE = 300
MAX_TEXT = 6000
# Kinds of notifications that no rule raises: a test of a channel, and the end of an incident.
TEST = "test"
RESOLVED = "resolved"


@dataclass(frozen=True)
class Notification:
    """A notification that is sent by one channel.

    :param sending: the row of the sending, joined with the row of its notification.
    :param about: data of ``rule``, ``project``, ``issue`` and ``event``; ``None`` where unknown.
    :param links: URLs of pages, by what they show.
    :param issues: the issues that the notification names, the worst first, with their present data.
        For an issue that was removed, the data that was stored with the notification.
    """

    sending: Row[Any]
    about: Mapping[str, Mapping[str, Any] | None]
    links: Mapping[str, str]
    issues: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_of_many(self) -> bool:
        """Whether the notification is about more than one issue."""
        return bool(self.sending.total > 1)

    @property
    def title(self) -> str:
        """The title, as one line."""
        return one_line(self.sending.title)

    @property
    def lines(self) -> list[str]:
        """The text, as lines without empty ones."""
        return [line for line in map(one_line, self.sending.text.splitlines()) if line.strip()]

    @property
    def where(self) -> str:
        """The name of the project; empty if the title contains it."""
        project = self.about["project"]
        return one_line(project["name"]) if project and not self.is_of_many else ""

    def labelled_links(self, verb: str = "Open the ") -> dict[str, str]:
        """Return links by label. If there are many issues, one link leads to all of them.

        :param verb: the beginning of each label.
        """
        # If a notification is about many issues, a link to one of them would mislead.
        left_out = ("notice", "issue", "event") if self.is_of_many else ()
        links = {
            f"{verb}{name}" if verb else name.capitalize(): url
            for name, url in self.links.items()
            if name not in left_out
        }
        if self.is_of_many:
            return {open_all(self.sending.total): self.links["notice"]} | links
        return links


def more_of(total: int) -> str:
    """Return the line that leads to the issues that have no line."""
    return f"and {total - MAX_LINES:,} more: {open_all(total)}"


def open_all(total: int) -> str:
    """Return the label of the link to all issues of a notification."""
    return f"Open all {total:,}"


def cut(text: str, limit: int) -> str:
    """Return text as one line of at most ``limit`` characters."""
    line = " ".join(one_line(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
