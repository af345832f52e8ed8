"""The tree of a trace: parents and children, self time, the slowest path, errors at their spans.

    spans ── parents ── circles opened ── children by time ── sizes, self time, slowest path

Clients choose ids and times, so anything may be wrong: a parent that is missing, spans that are
each other's parents, times outside of the parent's. Every span has a place in the tree, and what
was wrong with it is noted. Nothing here recurses: a tree may be as deep as it has spans.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from app.protocol.span import Span
from app.protocol.transaction import MAX_MS
from app.traces.reading import TraceEvent, TraceSpan

# The clocks of two programs on one host, and rounding, differ by less.
TOLERANCE_S = 0.001
# A span that begins earlier or later than the trace by more is of a program with a wrong clock.
MAX_AWAY_S = MAX_MS / 1000

Problem = Literal["missing", "circle"]


@dataclass(slots=True, eq=False)
class Node:
    """A span in the tree.

    :param number: its position in the trace, from 0.
    :param problem: ``missing`` if its parent is not stored, ``circle`` if it is below itself. Such
        a span stands below its transaction or at the top.
    :param fits: whether it has a plausible time that is near to that of the trace; only such a span
        has a place on the scale.
    :param is_outside: whether it begins before its parent or ends after it; both fit.
    :param self_ms: the time in which none of its children ran; ``None`` if it has no duration.
    :param size: how many spans it and all below it are.
    :param errors_in: how many errors happened in it and below.
    :param failures_in: how many of these spans failed.
    :param first: when the first of these spans that fit began; ``last``: when the last one ended.
        Seconds.
    """

    span: Span
    project_id: int
    envelope_id: int
    number: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    errors: list[TraceEvent] = field(default_factory=list)
    problem: Problem | None = None
    fits: bool = False
    is_outside: bool = False
    is_slowest: bool = False
    self_ms: float | None = None
    size: int = 1
    errors_in: int = 0
    failures_in: int = 0
    first: float = inf
    last: float = -inf

    @property
    def is_far(self) -> bool:
        """Whether its time is plausible by itself, but far from that of the trace."""
        return self.span.ms is not None and not self.fits


@dataclass
class Tree:
    """All spans of a trace.

    :param nodes: each after its parent; the children of one parent by their time.
    :param unplaced: errors whose span is not stored.
    """

    roots: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    unplaced: list[TraceEvent] = field(default_factory=list)

    def count(self, problem: Problem) -> int:
        """Return how many spans have a problem."""
        return sum(node.problem == problem for node in self.nodes)

    def find(self, span_id: str) -> Node | None:
        """Return the first span with an id."""
        return next((node for node in self.nodes if node.span.span_id == span_id), None)


def make_tree(spans: Sequence[TraceSpan], events: Iterable[TraceEvent] = ()) -> Tree:
    """Return the tree of the spans of a trace, with the errors that happened in them."""
    given = [Node(one.span, one.project_id, one.envelope_id, n) for n, one in enumerate(spans)]
    ids = _Ids(given)
    _set_parents(given, ids)
    _open_circles(given)
    _mark_fitting(given)
    tree = Tree()
    for node in sorted(given, key=begins):
        siblings = node.parent.children if node.parent else tree.roots
        siblings.append(node)
    tree.nodes = list(_from_the_top(tree.roots))
    for event in events:
        place = ids.find(event.project_id, event.span_id)
        (place.errors if place else tree.unplaced).append(event)
    for node in reversed(tree.nodes):
        _add_up(node)
    _mark_slowest_path(tree.roots)
    return tree


def begins(node: Node) -> float:
    """Return when a span began, in seconds; infinite if it is unknown.

    Siblings are sorted by it, and those that began together by their numbers, since sorting keeps
    the order of equals.
    """
    return inf if node.span.start is None else node.span.start


class _Ids:
    """The nodes by the ids of their spans. Other projects may use an id that one has, too."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._own: dict[tuple[int, str], Node] = {}
        self._any: dict[str, Node] = {}
        for node in nodes:
            if node.span.span_id is not None:
                self._own.setdefault((node.project_id, node.span.span_id), node)
                self._any.setdefault(node.span.span_id, node)

    def find(self, project_id: int, span_id: str | None) -> Node | None:
        """Return the node of an id, of the same project first."""
        if span_id is None:
            return None
        return self._own.get((project_id, span_id)) or self._any.get(span_id)


def _set_parents(nodes: Iterable[Node], ids: _Ids) -> None:
    """Set the parents. A span inside a transaction without a stored parent is below that one."""
    holder: Node | None = None
    for node in nodes:
        span = node.span
        if span.is_transaction:
            holder = None if span.is_streamed else node
        node.parent = ids.find(node.project_id, span.parent_id)
        if node.parent is None:
            node.problem = "missing" if span.parent_id else None
            if holder and holder is not node and holder.envelope_id == node.envelope_id:
                node.parent = holder


def _open_circles(nodes: Iterable[Node]) -> None:
    """Make one span of each circle a root."""
    done: set[Node] = set()
    for node in nodes:
        path: dict[Node, None] = {}
        at: Node | None = node
        while at is not None and at not in done and at not in path:
            path[at] = None
            at = at.parent
        if at is not None and at in path:
            # The one with the lowest number, so that the order of the spans does not matter.
            circle = list(path)[list(path).index(at) :]
            first = min(circle, key=lambda one: one.number)
            first.parent, first.problem = None, "circle"
        done.update(path)


def _mark_fitting(nodes: Iterable[Node]) -> None:
    timed = {node: node.span.start for node in nodes if node.span.ms is not None}
    starts = {node: start for node, start in timed.items() if start is not None}
    if starts:
        when = _when(starts)
        for node, start in starts.items():
            node.fits = abs(start - when) <= MAX_AWAY_S


def _when(starts: Mapping[Node, float]) -> float:
    """Return when a trace was: when the transaction began to which the most spans are near.

    Without transactions, it is a span.
    """
    every = sorted(starts.values())
    if every[-1] - every[0] <= MAX_AWAY_S:
        return every[0]

    def near(start: float) -> int:
        return bisect_right(every, start + MAX_AWAY_S) - bisect_left(every, start - MAX_AWAY_S)

    transactions = [start for node, start in starts.items() if node.span.is_transaction]
    return max(transactions or starts.values(), key=near)


def _from_the_top(roots: Sequence[Node]) -> Iterator[Node]:
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _add_up(node: Node) -> None:
    """Set what a node has of its children, which have theirs already."""
    span = node.span
    node.errors_in, node.failures_in = len(node.errors), int(span.failed)
    if node.fits and span.start is not None and span.end is not None:
        node.first, node.last = span.start, span.end
    for child in node.children:
        node.size += child.size
        node.errors_in += child.errors_in
        node.failures_in += child.failures_in
        node.first, node.last = min(node.first, child.first), max(node.last, child.last)
        child.is_outside = child.fits and node.fits and _is_outside(child.span, span)
    node.self_ms = _self_ms(node)


def _is_outside(inner: Span, outer: Span) -> bool:
    if inner.start is None or inner.end is None or outer.start is None or outer.end is None:
        return False
    return inner.start < outer.start - TOLERANCE_S or inner.end > outer.end + TOLERANCE_S


def _self_ms(node: Node) -> float | None:
    """Return the duration without the times in which a child ran, however many of them did."""
    start, end, ms = node.span.start, node.span.end, node.span.ms
    if start is None or end is None or ms is None:
        return None
    covered, up_to = 0.0, start
    for child in node.children:  # By their beginnings.
        if child.span.ms is None or child.span.start is None or child.span.end is None:
            continue
        since, ends = max(child.span.start, up_to), min(child.span.end, end)
        if ends > since:
            covered += ends - since
            up_to = ends
    return max(ms - covered * 1000, 0.0)


def _mark_slowest_path(roots: Sequence[Node]) -> None:
    """Mark the longest root, and from there the longest child each time."""
    level = roots
    while longest := max(level, key=_length, default=None):
        if longest.span.ms is None:
            return
        longest.is_slowest = True
        level = longest.children


def _length(node: Node) -> float:
    return -1.0 if node.span.ms is None else node.span.ms
