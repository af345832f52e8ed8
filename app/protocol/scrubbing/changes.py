"""The changes of a payload: new values, new keys, and the scrubbing report about them."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from app.protocol.scrubbing.budget import UNCHECKED, WorkBudget
from app.protocol.scrubbing.spans import FILTERED

_MAX_PATH_PART = 200
# The maximum number of characters of all paths in a scrubbing report: deeply nested secrets have
# long paths.
_MAX_REPORT = 1_000_000

Node = tuple[Any, int, Any, int, int]  # value, index of the parent, key in it, depth, how


class Finding(NamedTuple):
    """A line of the scrubbing report: where a secret was removed, and by which rule."""

    path: str
    rule: str


class Changes:
    """The changes of a payload.

    :param nodes: the containers of the payload, each after its parent.
    """

    def __init__(self, nodes: list[Node], budget: WorkBudget) -> None:
        self._nodes = nodes
        self._budget = budget
        # For each index of a container: old key to new value, and old key to new key.
        self.edits: dict[int, dict[Any, Any]] = {}
        self.renames: dict[int, dict[Any, str]] = {}
        # For containers with renamed keys: the names in use, and the last number of each name.
        self._taken: dict[int, set[Any]] = {}
        self._numbers: dict[tuple[int, str], int] = {}
        # For lists of a name and a value: the name.
        self.pair_names: dict[int, str] = {}
        self._found: list[tuple[int, Any, str]] = []

    def replace(self, index: int, key: Any, replacement: Any = UNCHECKED) -> None:
        """Replace a value that was not checked because the budget was used up."""
        self.edits.setdefault(index, {})[key] = replacement
        if self._budget.may_report():
            self._found.append((index, key, "budget"))

    def filter(self, index: int, key: Any, rule: str, replacement: Any = FILTERED) -> None:
        """Replace a value in which a rule found a secret."""
        self.edits.setdefault(index, {})[key] = replacement
        self._found.append((index, key, rule))

    def rename(self, index: int, key: Any, new: str, rule: str) -> None:
        """Rename a key in which a rule found a secret; a name in use gets a number."""
        taken = self._taken.get(index)
        if taken is None:
            taken = self._taken[index] = set(self._nodes[index][0])
        count = self._numbers.get((index, new), 1)
        unique = new if count == 1 else f"{new} ({count})"
        while unique in taken:
            count += 1
            unique = f"{new} ({count})"
        self._numbers[index, new] = count
        taken.add(unique)
        self.renames.setdefault(index, {})[key] = unique
        self._found.append((index, key, rule))

    def rebuild(self) -> Any:
        """Return the payload with its changes; unchanged containers are shared, not copied."""
        changed = [-index for index in self.edits.keys() | self.renames.keys() if index >= 0]
        heapq.heapify(changed)  # The last container comes first: parents are before their children.
        while changed:
            index = -heapq.heappop(changed)
            value, parent, key = self._nodes[index][:3]
            edits, names = self.edits.get(index, {}), self.renames.get(index, {})
            if isinstance(value, dict) and not names:
                new: Any = {**value, **edits}
            elif isinstance(value, dict):
                new = {names.get(k, k): edits.get(k, child) for k, child in value.items()}
            else:
                new = [edits.get(position, child) for position, child in enumerate(value)]
            if parent >= 0 and parent not in self.edits and parent not in self.renames:
                heapq.heappush(changed, -parent)
            self.edits.setdefault(parent, {})[key] = new
        root: list[Any] = self.edits.get(-1, {}).get(None) or self._nodes[0][0]
        return root[0]

    def report(self) -> list[Finding]:
        """Return the scrubbing report, each line once; a renamed key has its new name."""
        lines: dict[Finding, None] = {}
        left = _MAX_REPORT
        for index, key, rule in self._found:
            path = self._path(index, key)
            left -= len(path)
            if left < 0:
                lines[Finding("", "budget")] = None
                break
            lines[Finding(path, rule)] = None
        return list(lines)

    def _path(self, index: int, key: Any) -> str:
        parts: list[str] = []
        while index > 0:
            if isinstance(self._nodes[index][0], dict):
                parts.append(f".{self.renames.get(index, {}).get(key, key)}"[:_MAX_PATH_PART])
            else:
                name = self.pair_names.get(index)
                parts.append(f".{name}" if name else f"[{key}]")
            _, index, key = self._nodes[index][:3]
        return "".join(reversed(parts)).removeprefix(".")
