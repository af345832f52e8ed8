"""The lines of a waterfall: what each row of a trace says, and where its bar is.

A row with rows below it is the summary of a ``<details>`` element, so a person can fold it without
scripts. Lines say how many of those elements end after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from app.admin.filters import milliseconds, plural
from app.events.values import printable, shorten
from app.traces.folding import Folded, Row, words_of
from app.traces.reading import TraceEvent
from app.traces.tree import Node

# The width of the drawing, in its own units, and the width at which a bar can still be seen.
WIDTH, MIN_WIDTH = 1000, 3
MAX_WORDS, MAX_TITLE = 90, 60
# Of one row; a span may have a hundred.
MAX_ERRORS = 3
TICKS = 4


class Bar(NamedTuple):
    """Where a bar is, in units of the drawing."""

    x: int
    width: int


class Line(NamedTuple):
    """A line of the waterfall.

    :param address: the query of a page that begins here; empty if there is none.
    :param words: what the span did, on one line.
    :param service: the name of the project, where it differs from that of the row above.
    :param ms: the duration as people read it; ``self_ms`` empty if it does not differ.
    :param marks: what was wrong with its place in the trace.
    :param logs: how many lines of logs the span has.
    :param below: how many spans are below it, if the page has no rows for them.
    :param is_open: whether its rows are unfolded; ``None`` if it has none.
    :param ends: how many `details` elements end after it.
    """

    row: Row
    address: str
    words: str
    op: str
    service: str
    ms: str
    self_ms: str
    status: str
    marks: tuple[str, ...]
    errors: list[TraceEvent]
    more_errors: int
    logs: int
    bar: Bar | None
    below: str
    is_open: bool | None
    ends: int


class More(NamedTuple):
    """A line that leads to further rows below a span, of which the page shows some."""

    depth: int
    address: str
    words: str
    ends: int


def lines_of(
    folded: Folded, names: Mapping[int, str], logs: Mapping[str | None, int] | None = None
) -> list[Line | More]:
    """Return the lines of a page, from the top down.

    :param names: of projects, by id.
    :param logs: how many lines of logs each span has.
    """
    drawing = _Drawing(folded, names, logs or {})
    top = folded.top
    if top is None:
        found = [line for row in folded.rows for line in drawing.lines(row, None)]
    else:
        found = [drawing.line(top, None, is_open=None)]
        found += [line for row in folded.rows for line in drawing.lines(row, top.node)]
    return found


def ticks_of(folded: Folded) -> list[str]:
    """Return the times of the scale, from the beginning of the page's first span."""
    length = (folded.last - folded.first) * 1000
    return [milliseconds(length * number / TICKS) if number else "0" for number in range(TICKS + 1)]


class _Drawing:
    """Makes the lines of one page."""

    def __init__(
        self, folded: Folded, names: Mapping[int, str], logs: Mapping[str | None, int]
    ) -> None:
        self._first, self._names, self._logs = folded.first, names, logs
        length = folded.last - folded.first
        self._scale = WIDTH / length if length > 0 else 0.0

    def lines(self, row: Row, above: Node | None) -> Iterator[Line | More]:
        """Yield the line of a row, those of the rows below it, and what is left out."""
        if not row.rows:
            yield self.line(row, above, is_open=None)
            return
        yield self.line(row, above, is_open=not row.is_group)
        last: Line | More | None = None
        below = row.node if not row.is_group else above
        for line in self._below(row, below, _more(row)):
            if last is not None:
                yield last
            last = line
        if last is not None:
            yield last._replace(ends=last.ends + 1)

    def _below(self, row: Row, above: Node | None, more: More | None) -> Iterator[Line | More]:
        for inner in row.rows:
            yield from self.lines(inner, above)
        if more:
            yield more

    def line(self, row: Row, above: Node | None, *, is_open: bool | None) -> Line:
        """Return the line of a row."""
        node, span = row.node, row.node.span
        text = span.description or span.op or "(no description)"
        words = printable(shorten(words_of(text) if row.is_group else text, MAX_WORDS))
        is_new = above is None or above.project_id != node.project_id
        ms, self_ms = _duration(row.ms), _duration(row.self_ms)
        return Line(
            row,
            _address(node, alike=row.is_group),
            words or "(no description)",
            printable(span.op) if span.op != text else "",
            self._names.get(node.project_id, f"project {node.project_id}") if is_new else "",
            ms or "unknown",
            self_ms if self_ms != ms else "",
            _status(row),
            () if row.is_group else tuple(_marks(node)),
            [] if row.is_group else node.errors[:MAX_ERRORS],
            0 if row.is_group else max(len(node.errors) - MAX_ERRORS, 0),
            0 if row.is_group else self._logs.get(span.span_id, 0) if span.span_id else 0,
            self._bar(row),
            "" if row.is_group else _below(row),
            is_open,
            0,
        )

    def _bar(self, row: Row) -> Bar | None:
        timed = [node.span for node in row.nodes if node.fits]
        starts = [span.start for span in timed if span.start is not None]
        ends = [span.end for span in timed if span.end is not None]
        if not starts or not ends:
            return None
        x = (min(starts) - self._first) * self._scale
        width = (max(ends) - min(starts)) * self._scale
        at = min(max(int(x), 0), WIDTH - MIN_WIDTH)
        return Bar(at, max(min(round(width), WIDTH - at), MIN_WIDTH))


def address_of(span_id: str, **others: str) -> str:
    """Return the query of a page that begins at a span."""
    return f"?{urlencode({'span': span_id, **others})}"


def _address(node: Node, *, alike: bool = False, after: int = 0) -> str:
    if node.span.span_id is None:
        return ""
    others = {"alike": "1"} if alike else {}
    return address_of(node.span.span_id, **others, **({"after": str(after)} if after else {}))


def _below(row: Row) -> str:
    """Return what is below a row that has no rows below it.

    A line of its own for it would make a page twice as long where each span has some below.
    """
    if not row.folded:
        return ""
    errors = row.node.errors_in - len(row.node.errors)
    words = plural(row.folded, "span") + " below"
    return words + (f", with {plural(errors, 'error')}" if errors else "")


def _more(row: Row) -> More | None:
    """Return the line about further rows below a row, ``None`` if there are none."""
    if not row.left:
        return None
    address = _address(row.node, alike=row.is_group, after=len(row.rows))
    return More(row.depth + 1, address, f"{row.left:,} more", 0)


def _duration(ms: float | None) -> str:
    return "" if ms is None else milliseconds(ms)


def _status(row: Row) -> str:
    failed = [node.span for node in row.nodes if node.span.failed]
    if not failed:
        return ""
    if row.is_group:
        return f"{len(failed):,} failed"
    return printable(failed[0].status or "failed")


def _marks(node: Node) -> Iterator[str]:
    if node.problem == "missing":
        yield "parent missing"
    if node.problem == "circle":
        yield "below itself"
    if node.is_outside:
        yield "outside of its parent"
    if node.is_far:
        yield "time does not fit"
