"""What a notification says, for every kind of channel to put in its own form.

Notification ──▶ channels/<kind>.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.output import one_line

# Issues that have a line of their own.
MAX_LINES = 10


@dataclass(frozen=True)
class Notification:
    """A notification on its way out by one channel.

    :param sending: the row, with its notification's.
    :param about: ``rule``, ``project``, ``issue``, ``event``: what is known of each, or ``None``.
    :param links: to pages, by what they show.
    :param issues: those the notification names, the worst first, as they are now; of one that is
        gone what was known of it then.
    """

    sending: Row[Any]
    about: Mapping[str, Mapping[str, Any] | None]
    links: Mapping[str, str]
    issues: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_of_many(self) -> bool:
        """Whether it is about more than one issue."""
        return bool(self.sending.total > 1)

    @property
    def title(self) -> str:
        """Its title, as one line."""
        return one_line(self.sending.title)

    @property
    def lines(self) -> list[str]:
        """Its text, in lines."""
        return [line for line in map(one_line, self.sending.text.splitlines()) if line.strip()]

    @property
    def where(self) -> str:
        """The name of its project; empty where the title has it."""
        project = self.about["project"]
        return one_line(project["name"]) if project and not self.is_of_many else ""

    def labelled_links(self, verb: str = "Open the ") -> dict[str, str]:
        """Return links by label; that of the notification leads to all of its issues."""
        # Of many issues one of them is not what the notification is about.
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
    """Return the line that leads to the issues without a line of their own."""
    return f"and {total - MAX_LINES:,} more: {open_all(total)}"


def open_all(total: int) -> str:
    """Return what the link to all issues of a notification is called."""
    return f"Open all {total:,}"


def cut(text: str, limit: int) -> str:
    """Return text as one line, at most so long."""
    line = " ".join(one_line(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
