"""The values of an event that rules match: in lower case, and read only once for all rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.protocol.event import Event, Frame

EVENT_FIELDS = ("type", "message", "release", "environment", "level", "logger", "transaction")
FRAME_FIELDS = ("path", "module", "function")
FIELDS = (*EVENT_FIELDS, *FRAME_FIELDS, "tag")
# Only this many characters of a value are matched.
MAX_VALUE = 2000
MAX_FRAMES = 250


class Values(NamedTuple):
    """The values of a field; ``joined`` holds all of them, so that one search covers them."""

    each: list[str]
    joined: str


class FrameValues(NamedTuple):
    """The values of a frame that rules can match."""

    path: tuple[str, ...]
    module: tuple[str, ...]
    function: tuple[str, ...]


class Subject:
    """The values of an event, by field."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._frames: list[FrameValues] | None = None
        self._values: dict[tuple[str, str | None], Values] = {}

    @property
    def frames(self) -> list[FrameValues]:
        """The distinct frames of all exceptions, or of the event's own stack without them."""
        if self._frames is None:
            stacks = [exception.frames for exception in self._event.exceptions]
            frames = [frame for stack in stacks for frame in stack] or self._event.stack
            self._frames = list(dict.fromkeys(map(_frame_values, frames[-MAX_FRAMES:])))
        return self._frames

    def values(self, field: str, key: str | None) -> Values:
        """Return the values of a field.

        :param field: one of :data:`FIELDS`.
        :param key: the name of the tag, for the field ``tag``.
        """
        values = self._values.get((field, key))
        if values is None:
            each = self._read(field, key)
            values = self._values[field, key] = Values(each, "\n".join(each))
        return values

    def _read(self, field: str, key: str | None) -> list[str]:
        if field in FRAME_FIELDS:
            position = FRAME_FIELDS.index(field)
            return list(dict.fromkeys(value for frame in self.frames for value in frame[position]))
        if field == "tag":
            return _lowered(self._event.tags.get(key or ""))
        read = _EVENT_VALUES.get(field)
        return _lowered(*read(self._event)) if read else []


def _lowered(*values: str | None) -> list[str]:
    return [value[:MAX_VALUE].lower() for value in values if value]


def _frame_values(frame: Frame) -> FrameValues:
    """Return the values of a frame.

    Paths have forward slashes. A relative path is there twice: as it is, and with a leading slash.
    """
    paths = [p.replace("\\", "/") for p in _lowered(frame.abs_path, frame.filename)]
    paths += [f"/{path}" for path in paths if not path.startswith("/")]
    return FrameValues(
        tuple(dict.fromkeys(paths)),
        tuple(_lowered(frame.module)),
        tuple(_lowered(frame.function)),
    )


_EVENT_VALUES: dict[str, Callable[[Event], list[str | None]]] = {
    "type": lambda event: [exception.type for exception in event.exceptions],
    "message": lambda event: [event.message, *(each.value for each in event.exceptions)],
    "release": lambda event: [event.release],
    "environment": lambda event: [event.environment],
    "level": lambda event: [event.level],
    "logger": lambda event: [event.logger],
    "transaction": lambda event: [event.transaction],
}
