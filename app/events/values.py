"""Values of an event as text: any JSON value of any size, without failing.

Every function here accepts hostile input: clients choose the payload.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from app.events.plain import plain
from app.protocol.event import clean_text

# Longer text is folded; only its beginning is shown.
FOLD_CHARACTERS = 160
FOLD_LINES = 8
# A page shows at most this much of a value. The raw JSON has the whole value.
MAX_CHARACTERS = 10_000
MAX_MEMBERS = 200

# json.dumps() would make an encoder for each value.
_ONE_LINE = json.JSONEncoder(ensure_ascii=False, default=str)
_INDENTED = json.JSONEncoder(ensure_ascii=False, default=str, indent=2)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Shown(NamedTuple):
    """A named value as pages show it.

    :param text: at most :data:`MAX_CHARACTERS` characters of the value.
    :param beginning: one line, shortened; the whole text if it is short.
    :param is_long: whether pages fold the text.
    :param left_out: count of characters that ``text`` lacks.
    """

    name: str
    text: str
    beginning: str
    is_long: bool
    left_out: int


def show(name: object, value: object) -> Shown:
    """Return a named value as text."""
    whole = as_read(value)
    text = whole[:MAX_CHARACTERS]
    is_long = len(text) > FOLD_CHARACTERS or text.count("\n") >= FOLD_LINES
    beginning = shorten(text, 100) if is_long else text
    return Shown(as_text(name)[:200], text, beginning, is_long, len(whole) - len(text))


def show_all(members: object, limit: int = MAX_MEMBERS) -> list[Shown]:
    """Return the members of an object or a list as text; any other value is its only member."""
    return [show(name, value) for name, value in islice(pairs(members), limit)]


def pairs(members: object) -> list[tuple[object, object]]:
    """Return the pairs of name and value of an object, a list of pairs, or a list of values."""
    if isinstance(members, dict):
        return list(members.items())
    if isinstance(members, list):
        return [
            (member[0], member[1])
            if isinstance(member, list) and len(member) == 2
            else (str(position), member)
            for position, member in enumerate(members)
        ]
    return [] if members in (None, "") else [("", members)]


def as_read(value: object) -> str:
    """Return a value as people read it: strings as they are, the rest without quotes."""
    if not isinstance(value, dict | list):
        return as_text(value)
    try:
        return printable(plain(value))
    except RecursionError:
        return as_text(value)


def as_text(value: object) -> str:
    """Return a value as printable text: strings as they are, the rest as JSON."""
    if isinstance(value, str):
        return printable(value)
    try:
        text = _ONE_LINE.encode(value)
        if len(text) > FOLD_CHARACTERS:
            text = _INDENTED.encode(value)
    except (ValueError, RecursionError):
        text = "(a value that cannot be shown)"
    return printable(text)


def printable(text: str) -> str:
    """Return text without characters that control a terminal or the direction of text."""
    if text.isprintable():  # Most texts. It is true of none that the next line would change.
        return text
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", clean_text(text))


def shorten(text: str, limit: int) -> str:
    """Return the text as one line of at most ``limit`` characters; it ends in … if cut."""
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def read_time(value: object) -> datetime | None:
    """Return the UTC time of a number of seconds or an ISO text; ``None`` if it is neither."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC) if math.isfinite(value) else None
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read and (read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        return None
