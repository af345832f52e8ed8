"""Secrets that the SDK removes before our scrubber sees the event.

The scrubber of the SDK replaces the local variable ``password`` by ``[Filtered]``. Then our
scrubber does not know the value and cannot find its copies without a name. So the values are noted
before, and the scrubber searches for them like for the values that it removes itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.protocol.scrub import Scrubber
from app.protocol.scrubbing.names import SECRET

# Local variables may have any size. Only the rules check values that are deeper or further on.
MAX_DEPTH = 4
MAX_MEMBERS = 100


def named_secrets(value: Any, scrubber: Scrubber, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield the texts with a secret name in nested dicts and lists of plain values."""
    if depth == 0:
        return
    if type(value) is dict:
        for name, member in list(value.items())[:MAX_MEMBERS]:
            if isinstance(member, str):
                if isinstance(name, str) and scrubber.verdict_of_name(name) & SECRET:
                    yield member
            else:
                yield from named_secrets(member, scrubber, depth - 1)
    elif type(value) is list:
        for member in value[:MAX_MEMBERS]:
            yield from named_secrets(member, scrubber, depth - 1)
