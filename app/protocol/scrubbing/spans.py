"""The replacement text for a secret, and the type of the position of a secret in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FILTERED = "[Filtered]"

# The start and the end of a secret in a text.
Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]
