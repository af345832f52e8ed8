"""What a page shows of a tree: at most MAX_ROWS rows, repeated spans in one, the rest folded.

    the top ── the next node to unfold ── its children, repeated ones in one row ── until full
               └─ on the slowest path and with errors first, then from the top down

A page may begin at any span, so every span can be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heappop, heappush
from itertools import chain

from app.traces.tree import Node, Tree, begins

# About 400 bytes of HTML each.
MAX_ROWS = 800
# How many children of a span are shown at first; more of them if there is room left.
MAX_CHILDREN = 100
# The same of spans alike.
MAX_ALIKE = 10
# Browsers nest elements 512 levels deep, and a screen has room for fewer.
MAX_DEPTH = 30
# So many spans that differ only in numbers and texts become one row.
MIN_ALIKE = 3

_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\$?\d+(?:\.\d+)?")
_LISTS = re.compile(r"\?(?:, ?\?)+")

# What is unfolded first: rows with errors or on the slowest path; at last rows of several spans.
MAJOR, MINOR, GROUP = range(3)

# A span, or several alike.
Group = tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Row:
    """A row of a page: a span, or several alike.

    :param nodes: the spans that it stands for.
    :param rows: the rows below it.
    :param left: how many further rows would be below it.
    """

    nodes: Group
    depth: int
    rows: list[Row] = field(default_factory=list)
    left: int = 0

    @property
    def node(self) -> Node:
        """The span, or the first of several."""
        return self.nodes[0]

    @property
    def is_group(self) -> bool:
        """Whether it stands for several spans."""
        return len(self.nodes) > 1

    @property
    def folded(self) -> int:
        """How many spans are below it, if none of them has a row here."""
        if self.rows:
            return 0
        own = len(self.nodes) if self.is_group else 0
        return own + sum(node.size - 1 for node in self.nodes)

    @property
    def ms(self) -> float | None:
        """The duration in milliseconds; the sum of all that are known, if there are several."""
        return _sum([node.span.ms for node in self.nodes])

    @property
    def self_ms(self) -> float | None:
        """The self time in milliseconds; the sum of all that are known, if there are several."""
        return _sum([node.self_ms for node in self.nodes])


@dataclass
class Folded:
    """The rows of a page.

    :param top: the row that the others are below, if the page begins at a span.
    :param left: how many further rows there are; ``after``: how many come before those.
    :param first: when the first span of the page that fits the trace began; ``last``: when the last
        one ended. Both in seconds since 1970, 0 if no time is known.
    """

    top: Row | None
    rows: list[Row]
    left: int
    after: int
    first: float
    last: float


def fold(tree: Tree, at: Node | None = None, *, alike: bool = False, after: int = 0) -> Folded:
    """Return the rows of a page.

    :param at: the span that the page begins at; by default the page shows the whole trace.
    :param alike: show the spans like ``at`` among its siblings, each in a row of its own.
    :param after: how many rows to pass over.
    """
    if at is None:
        return _page(None, together(tree.roots), after)
    if not alike:
        return _page(Row((at,), 0), together(at.children), after)
    siblings = at.parent.children if at.parent else tree.roots
    key = _key(at)
    return _page(None, [(node,) for node in siblings if _key(node) == key], after)


def together(nodes: Sequence[Node]) -> list[Group]:
    """Return siblings in groups of those alike, each group where its first span is."""
    groups: dict[object, list[Node]] = {}
    for node in nodes:
        groups.setdefault(_key(node), []).append(node)
    found: Iterable[Group] = chain.from_iterable(
        [tuple(some)] if len(some) >= MIN_ALIKE else [(node,) for node in some]
        for some in groups.values()
    )
    return sorted(found, key=lambda group: begins(group[0]))


def words_of(description: str) -> str:
    """Return a description without the numbers and texts that differ from span to span."""
    return _words(description[:300])


@lru_cache(maxsize=4096)
def _words(text: str) -> str:
    return _LISTS.sub("?", _VALUES.sub("?", " ".join(text.split())))


def _key(node: Node) -> object:
    """Return what spans alike have in common.

    One with an error, or of the path, is alone; so is one without an id, which no address names.
    """
    if node.errors_in or node.is_slowest or node.span.span_id is None:
        return node.number
    span = node.span
    return node.project_id, span.op, words_of(span.description or span.op)


def _below(row: Row) -> list[Group]:
    return [(node,) for node in row.nodes] if row.is_group else together(row.node.children)


def _page(top: Row | None, groups: list[Group], after: int) -> Folded:
    depth, room = (1, MAX_ROWS - 1) if top else (0, MAX_ROWS)
    shown = groups[after : after + room]
    rows = [Row(group, depth) for group in shown]
    _Unfolding(room - len(rows)).unfold(rows)
    places = [top.node] if top else list(chain.from_iterable(shown))
    first = min((node.first for node in places), default=0.0)
    last = max((node.last for node in places), default=0.0)
    is_known = first <= last
    left = max(len(groups) - after - len(rows), 0)
    after += len(rows)
    return Folded(top, rows, left, after, first if is_known else 0.0, last if is_known else 0.0)


class _Unfolding:
    """Adds the rows below others, the most important first, while there is room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: list[tuple[int, int, int, Row]] = []
        self._groups: dict[Row, list[Group]] = {}

    def unfold(self, rows: Iterable[Row]) -> None:
        """Unfold rows and what is below; then show further children of those that have many."""
        for row in rows:
            self._add(row)
        while self._waiting and self._room > 0:
            row = heappop(self._waiting)[-1]
            self._groups[row] = _below(row)
            self._show(row, MAX_ALIKE if row.is_group else MAX_CHILDREN)
        for row in self._groups:
            if row.left and not row.is_group and self._room > 0:
                self._show(row, self._room)

    def _add(self, row: Row) -> None:
        has_more = row.is_group or row.node.children
        if has_more and row.depth < MAX_DEPTH:
            is_first = row.node.errors_in or row.node.is_slowest
            order = GROUP if row.is_group else MAJOR if is_first else MINOR
            heappush(self._waiting, (order, row.depth, row.node.number, row))

    def _show(self, row: Row, count: int) -> None:
        groups = self._groups[row]
        shown = groups[len(row.rows) :][: min(count, self._room)]
        self._room -= len(shown)
        for group in shown:
            row.rows.append(Row(group, row.depth + 1))
            self._add(row.rows[-1])
        row.left = len(groups) - len(row.rows)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
