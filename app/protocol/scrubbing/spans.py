"""What stands where a secret stood, and where in a text one stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FILTERED = "[Filtered]"

# Where something secret begins in a text, and where it ends.
Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]
