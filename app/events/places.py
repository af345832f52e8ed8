"""Where a frame of a stack is: its file, line and column, as text."""

from __future__ import annotations

from app.events.values import printable
from app.protocol.event import Frame

# A larger number is not a line number, and adding to it may exceed what Python prints.
MAX_LINE_NUMBER = 10**9


def place_of(frame: Frame) -> str:
    """Return a frame's file and line, and the column if the frame has one (minified code)."""
    name = printable(frame.filename or frame.abs_path or frame.module or "?")
    line = line_number(frame)
    if line is None:
        return name
    column = column_number(frame)
    return f"{name}:{line}" if column is None else f"{name}:{line}:{column}"


def line_number(frame: Frame) -> int | None:
    """Return the line of a frame, ``None`` if it is not a line number."""
    return frame.lineno if frame.lineno and 0 < frame.lineno < MAX_LINE_NUMBER else None


def column_number(frame: Frame) -> int | None:
    """Return the column of a frame, ``None`` if it is not a column."""
    return frame.colno if frame.colno and 0 < frame.colno < MAX_LINE_NUMBER else None
