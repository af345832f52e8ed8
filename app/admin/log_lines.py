"""Lines of logs as pages show them, within a budget of bytes that all lines of a page share.

A line gets an equal share of what the lines before it left. What does not fit is on the page of the
line, which its place links to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from flask import url_for

from app.admin.query_line import MAX_ADDRESS, is_short
from app.search.grammar import Query, parse, with_term
from app.signals.logs.document import text_of
from app.signals.logs.filtering import write_place
from app.signals.logs.line import Line
from app.web.templating import escaped

# HTML of all lines of a page. 100 lines with 14 attributes each take 390 kB, and fit.
PAGE_BYTES = 440_000
# The HTML of a line without texts of its client, and that of an attribute.
LINE_BYTES, ATTRIBUTE_BYTES = 1_550, 85
# Characters of a message in the list, and of the value of an attribute below it.
MAX_START, MAX_VALUE = 1000, 500
# A longer value has no link to the lines that have it, too.
MAX_QUERY_VALUE = 200


class Attribute(NamedTuple):
    """An attribute as its line shows it.

    :param address: of the lines that have the same value; empty if it is too long.
    """

    name: str
    text: str
    address: str


class ShownLine(NamedTuple):
    """A line as a page shows it.

    :param start: of the message. :param rest: the whole message if it is longer and has room.
    :param is_cut: whether the page does not have all of the line.
    :param left_out: how many attributes it does not have.
    :param place: of the page that has all of it.
    """

    line: Line
    start: str
    rest: str
    attributes: list[Attribute]
    is_cut: bool
    left_out: int
    place: str


def shown_lines(
    lines: Sequence[Line], values: Mapping[str, str], max_bytes: int = PAGE_BYTES
) -> list[ShownLine]:
    """Return lines as a page shows them, which together take at most so many bytes.

    :param values: the parameters of the list that values of attributes lead to.
    """
    query = parse(values.get("query", "")) if is_short(values) else None
    shown: list[ShownLine] = []
    for number, line in enumerate(lines):
        share = max_bytes // (len(lines) - number)
        room = _Room(share)
        shown.append(_shown(line, values, query, room))
        max_bytes -= share - room.left
    return shown


def whole_line(line: Line) -> ShownLine:
    """Return a line with all that is stored of it, whose lengths are bounded."""
    values, start = {"period": "all"}, line.body[:MAX_START]
    attributes = [_attribute(values, Query(), *each, None) for each in _texts_of(line)]
    rest = line.body if line.body != start else ""
    return ShownLine(line, start, rest, attributes, False, 0, "")


class _Room:
    """How many bytes a line has left."""

    def __init__(self, size: int) -> None:
        self.left = size

    def has(self, *texts: str, beside: int = 0) -> bool:
        """Return whether texts have room."""
        return beside + sum(map(_size, texts)) <= self.left

    def take(self, *texts: str, beside: int = 0) -> None:
        """Give room to texts."""
        self.left -= beside + sum(map(_size, texts))


def _shown(line: Line, values: Mapping[str, str], query: Query | None, room: _Room) -> ShownLine:
    third = room.left // 3
    room.take(line.release or "", line.environment or "", line.cut or "", beside=LINE_BYTES)
    start = _beginning(line.body[:MAX_START], max(0, min(third, room.left)))
    room.take(start)
    attributes = _attributes(line, values, query, room)
    has_rest = line.body != start and room.has(line.body)
    if has_rest:
        room.take(line.body)
    left_out = len(line.attributes) - len(attributes)
    is_cut = left_out > 0 or (line.body != start and not has_rest)
    is_cut = is_cut or any(len(text) > MAX_VALUE for _, text in _texts_of(line))
    rest = line.body if has_rest else ""
    return ShownLine(line, start, rest, attributes, is_cut, left_out, write_place(line.key) or "")


def _attributes(
    line: Line, values: Mapping[str, str], query: Query | None, room: _Room
) -> list[Attribute]:
    """Return the attributes that have room, in their order."""
    found = []
    for name, text in _texts_of(line):
        if not room.has(name, text[:MAX_VALUE], beside=ATTRIBUTE_BYTES):
            continue
        one = _attribute(values, query, name, text, MAX_VALUE)
        if not room.has(*one, beside=ATTRIBUTE_BYTES):
            one = one._replace(address="")
        room.take(*one, beside=ATTRIBUTE_BYTES)
        found.append(one)
    return found


def _texts_of(line: Line) -> list[tuple[str, str]]:
    return [(name, text_of(value)) for name, value in line.attributes.items()]


def _attribute(
    values: Mapping[str, str], query: Query | None, name: str, text: str, at_most: int | None
) -> Attribute:
    is_long = at_most is not None and len(text) > at_most
    shown = f"{text[:at_most]}…" if is_long else text
    return Attribute(name, shown, _address(values, query, name, text))


def _address(values: Mapping[str, str], query: Query | None, name: str, text: str) -> str:
    if query is None or not text or len(name) + len(text) > MAX_QUERY_VALUE:
        return ""
    added = str(with_term(query, f"tags[{name}]", text))
    address = f"{url_for('admin.list_of_logs')}?{urlencode({**values, 'query': added})}"
    return address if len(address) <= MAX_ADDRESS else ""


def _beginning(text: str, max_bytes: int) -> str:
    """Return the beginning of a text that takes at most so many bytes as HTML."""
    while (size := _size(text)) > max_bytes:
        text = text[: len(text) * max_bytes // size]
    return text


def _size(text: str) -> int:
    return len(escaped(text).encode())
