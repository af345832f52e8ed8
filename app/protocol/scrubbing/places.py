"""Places: where in a payload each collected text is, found only for the few texts that need it.

Nearly no text needs its place, and a list of all places would cost as much as the rest of the walk.
So a walk only notes the number of the first text of each container. In most containers, the texts
are its strings in their order. For all others, the walk notes their keys.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from app.protocol.scrubbing.changes import Node

# How a container is walked.
PLAIN, SOURCE, TRACE = range(3)

CODE_KEYS = frozenset({"context_line", "pre_context", "post_context"})

Place = tuple[int, Any, bool]  # index of the container, key in it, is a source line


class Places:
    """The places of the texts of a payload.

    :param nodes: the containers of the payload.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        # For each container that was walked, the number of its first text.
        self.starts: list[int] = []
        # For the containers in which not every string is a text: key, is a source line.
        self.noted: dict[int, list[tuple[Any, bool]]] = {}
        # The runs of source lines: the number of the first one, and the number after the last one.
        self.lines: list[tuple[int, int]] = []

    def add_lines(self, first: int, count: int) -> None:
        """Note that some texts are source lines."""
        if self.lines and self.lines[-1][1] == first:
            self.lines[-1] = (self.lines[-1][0], first + count)
        else:
            self.lines.append((first, first + count))

    def of(self, number: int) -> Place:
        """Return the place of a text."""
        index = bisect_right(self.starts, number) - 1
        key, is_line = self._in(index)[number - self.starts[index]]
        return index, key, is_line

    def all(self) -> list[Place]:
        """Return the places of all texts, in order."""
        return [
            (index, key, is_line)
            for index in range(len(self.starts))
            for key, is_line in self._in(index)
        ]

    def _in(self, index: int) -> list[tuple[Any, bool]]:
        """Return the key of each text in a container, and whether it is a source line."""
        noted = self.noted.get(index)
        if noted is None:
            value, _, _, _, how = self._nodes[index]
            if isinstance(value, dict):
                noted = [(k, k in CODE_KEYS) for k, child in value.items() if type(child) is str]
            else:
                noted = [(at, how == SOURCE) for at, v in enumerate(value) if type(v) is str]
            self.noted[index] = noted
        return noted
