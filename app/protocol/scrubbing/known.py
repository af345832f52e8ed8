"""Secrets that somebody else takes out before the scrubber sees the event.

The SDK's own scrubber replaces the local variable ``password`` by ``[Filtered]``; the scrubber here
then has nothing to look for where the same value stands without a name. So the values are noted
before, and are looked for like those it takes out itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.protocol.scrub import Scrubber
from app.protocol.scrubbing.names import SECRET

# Local variables are any size; what stands deeper or further on is met by the rules alone.
MAX_DEPTH = 4
MAX_MEMBERS = 100


def named_secrets(value: Any, scrubber: Scrubber, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield the texts that stand under a secret name, in dicts and lists of plain values."""
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
