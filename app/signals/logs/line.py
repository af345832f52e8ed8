"""A line of a log, as it is read from an envelope and from its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Scalar = str | int | float | bool
# When it was written, and its row id: the order of lines.
Key = tuple[datetime, int]


@dataclass(slots=True)
class Line:
    """A line of a log.

    :param at: when it was written, by the clock of the client, corrected.
    :param level: one of :data:`app.protocol.lenient.LEVELS`.
    :param attributes: without those that are fields here.
    :param cut: what was cut, left out or replaced, in words; ``None`` if nothing was.
    :param id: the row id; 0 before it is stored.
    :param size_bytes: an estimate of the bytes of its row; 0 before it is stored.
    """

    project_id: int
    at: datetime
    level: str
    body: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    release: str | None = None
    environment: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    cut: str | None = None
    id: int = 0
    size_bytes: int = 0

    @property
    def key(self) -> Key:
        """Where the line stands in the order of all lines."""
        return self.at, self.id
