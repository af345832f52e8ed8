"""The answer of a tool: lines in words of this service, and texts of others within fences.

    answer.say("#7 in project 2: unresolved, error, 344 events")
    answer.quote(title=issue.title, culprit=issue.culprit)

What is said consists of words, numbers, times and ids of this service. Everything that a client or
a person can have written is quoted, also a name or a release. There is no structured content beside
the text: a client would hand its strings to the model without the fence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from app.mcp.untrusted import Fence, lines_of, one_line

# In characters. A character has at most four bytes.
DEFAULT_CHARACTERS, MAX_CHARACTERS = 20_000, 40_000
MAX_VALUE = 400
# Room for the words that stand around what an answer says: the notice, fences, and the end.
_AROUND = 100
_CUT = "The answer is cut here: ask for less (`limit`), or raise `max_characters`."


class Sized(BaseModel):
    """The size of an answer."""

    max_characters: Annotated[
        int,
        Field(ge=1000, le=MAX_CHARACTERS, description="Where the answer is cut."),
    ] = DEFAULT_CHARACTERS


class Answer:
    """An answer while it is written.

    :param max_characters: what does not fit is left out, and the answer says so.
    """

    def __init__(self, max_characters: int = DEFAULT_CHARACTERS) -> None:
        self._fence = Fence()
        self._left = max_characters - len(self._fence.notice) - _AROUND
        self._lines: list[str] = []
        self._quotes = self._is_cut = False

    def say(self, text: str) -> None:
        """Add a line in words of this service."""
        self._add(text)

    def say_page(
        self, count: int, thing: str, cursor: object = None, stopped: datetime | None = None
    ) -> None:
        """Say how many things a page of a list has, and how the list goes on.

        :param cursor: of the next page, if there is one.
        :param stopped: where the search stopped that the next page goes on with, if it did.
        """
        self.say(number(count, thing) + (" on this page." if count else " found."))
        if cursor:
            self.say(f"The next page has the cursor {cursor}")
        if stopped is not None:
            self.say(f"The search stopped at {at(stopped)}; the next page goes on.")

    def quote(self, **values: object) -> None:
        """Add named values of others, a line each, without those that are empty."""
        lines = [
            f"{name.replace('_', ' ')}: {one_line(str(value), MAX_VALUE)}"
            for name, value in values.items()
            if value not in (None, "", [])
        ]
        if lines:
            self.quote_text("\n".join(lines))

    def quote_text(self, text: str) -> None:
        """Add a text of others, or the beginning of it that fits."""
        self._quotes = True
        room = self._left - len(self._fence.around(())) - 1
        lines, is_whole = _fitting(lines_of(text[: max(room, 0)]), room)
        if lines and not self._is_cut:
            self._add(self._fence.around(lines))
        self._is_cut = self._is_cut or not is_whole or len(text) > max(room, 0)

    def text(self) -> str:
        """Return the whole answer."""
        notice = [self._fence.notice] if self._quotes else []
        return "\n".join([*notice, *self._lines, *([_CUT] if self._is_cut else [])])

    def _add(self, text: str) -> None:
        self._is_cut = self._is_cut or len(text) + 1 > self._left
        if not self._is_cut:
            self._left -= len(text) + 1
            self._lines.append(text)


def _fitting(lines: list[str], room: int) -> tuple[list[str], bool]:
    """Return the lines that fit into a number of characters, and whether they are all."""
    kept: list[str] = []
    for line in lines:
        if len(line) + 1 > room:
            return ([*kept, f"{line[: room - 2]}…"] if room > 10 else kept), False
        kept.append(line)
        room -= len(line) + 1
    return kept, True


def at(moment: datetime | None) -> str:
    """Return a time as answers say it, in UTC to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "never"


def number(count: int, thing: str) -> str:
    """Return a number of things, such as ``1 event`` or ``2 deliveries``."""
    if count == 1:
        return f"1 {thing}"
    return f"{count} {thing[:-1]}ies" if thing.endswith("y") else f"{count} {thing}s"
