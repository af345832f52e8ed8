"""Grouping: which events are the same issue, in words first, as a hash second.

The readable ``key`` says why; its SHA-256 is what the database compares. A change of the rules
gets a new version, so that issues grouped by the old ones stay what they are.

Version 0: the chain of exception types with the calls of the application that led there; the
message counts only where there is no stack, with its ids, numbers and addresses taken out. Line
numbers do not count, since every deployment moves them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from app.protocol.event import Event, ExceptionValue, Frame, first_line

GROUPING_VERSION = "0"
# Beyond this many calls a key explains nothing any more; the newest ones are nearest to the bug.
MAX_FRAMES = 20
# A longer message is some kind of data; its beginning tells messages apart well enough.
MAX_MESSAGE = 200

_VARIABLE = re.compile(
    r"(?P<url>\b\w+://\S+)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<hex>\b(?:0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,}){0,4})\b)"
    r"|(?P<email>[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64})"
    r"|(?P<number>\d+(?:\.\d+)*)"
)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Why an event belongs to its issue.

    :param key: readable, one line a part.
    """

    version: str
    key: str

    @property
    def hash(self) -> str:
        """SHA-256 of the key, 64 hex digits."""
        return hashlib.sha256(self.key.encode("utf-8", "replace")).hexdigest()


def group(event: Event) -> Grouping:
    """Return the grouping of an event."""
    if event.exceptions:
        key = "\n".join(_exception_key(exception) for exception in event.exceptions)
    else:
        key = f"message {parametrize(event.message_template or '')}"
    return Grouping(GROUPING_VERSION, key)


def parametrize(message: str) -> str:
    """Return the message with what changes from event to event replaced by its kind."""
    short = first_line(message)[:MAX_MESSAGE]
    return _VARIABLE.sub(lambda match: f"<{match.lastgroup}>", short)


def _exception_key(exception: ExceptionValue) -> str:
    name = exception.type or "?"
    frames = [frame for frame in exception.frames if frame.in_app] or exception.frames
    if not frames:
        return f"{name}: {parametrize(exception.value or '')}"
    calls = [call for call in map(_call, frames[-MAX_FRAMES:])]
    # A recursion that is one deeper is the same bug.
    distinct = [call for i, call in enumerate(calls) if i == 0 or call != calls[i - 1]]
    return f"{name} at {' > '.join(distinct)}"


def _call(frame: Frame) -> str:
    return f"{frame.module or frame.filename or '?'}:{frame.function or '?'}"
