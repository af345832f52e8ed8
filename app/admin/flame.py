"""The boxes of a flame graph: a box for each call, as wide as its share of the samples.

The page shows the part below one call, whose number its address says. Numbers are those of a walk
through the whole tree, so that they stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple

from app.protocol.profile import Call, Function, Profile

MAX_BOXES = 500


class Box(NamedTuple):
    """A call in the graph.

    :param x: of its left edge, in percent of the width, as ``width``.
    :param depth: of its row; the top row is 0.
    :param share: of all samples of the thread, from 0 to 1.
    :param is_above: whether it leads to the part that is shown, and is not in it.
    """

    number: int
    x: float
    width: float
    depth: int
    function: Function | None
    share: float
    is_above: bool


@dataclass(frozen=True)
class Flame:
    """The graph.

    :param left_out: how many calls of this part are not drawn: those with fewest samples.
    """

    boxes: list[Box]
    left_out: int

    @property
    def depth(self) -> int:
        """The number of rows."""
        return 1 + max(box.depth for box in self.boxes)


def make_flame(profile: Profile, number: int = 0) -> Flame:
    """Return the graph of the part below a call; of all if there is no call with this number."""
    numbers = _numbers(profile.root)
    top = next((call for call, known in numbers.items() if known == number), profile.root)
    above = _above(top)
    whole = profile.root.samples
    boxes = [
        Box(numbers[call], 0.0, 100.0, depth, call.function, call.samples / whole, True)
        for depth, call in enumerate(above)
    ]
    placed = list(_placed(top))
    drawn = _widest(placed)
    for call, start, depth in placed:
        if call not in drawn:
            continue
        x, width = (100 * value / top.samples for value in (start, call.samples))
        share = call.samples / whole
        boxes.append(Box(numbers[call], x, width, len(above) + depth, call.function, share, False))
    return Flame(boxes, len(placed) - len(drawn))


def _numbers(root: Call) -> dict[Call, int]:
    return {call: number for number, (call, _, _) in enumerate(_placed(root))}


def _above(call: Call) -> list[Call]:
    found = []
    while call.parent is not None:
        call = call.parent
        found.append(call)
    return found[::-1]


def _widest(placed: list[tuple[Call, int, int]]) -> set[Call]:
    """Return the calls to draw: those with most samples, and of equal ones the outer ones."""
    largest = nsmallest(MAX_BOXES, placed, key=lambda one: (-one[0].samples, one[2]))
    return {call for call, _, _ in largest}


def _placed(top: Call) -> Iterator[tuple[Call, int, int]]:
    """Yield the calls of a part, each before those it made, with the sample where it begins."""
    waiting = [(top, 0, 0)]
    while waiting:
        call, start, depth = waiting.pop()
        yield call, start, depth
        below = []
        for one in sorted(call.calls.values(), key=lambda one: -one.samples):
            below.append((one, start, depth + 1))
            start += one.samples
        waiting += reversed(below)
