"""A sentence that explains why the time of an event is not the time that its client sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from app.events.values import printable
from app.protocol.client_clock import DRIFT, FUTURE, OLDEST, TOO_OLD
from app.protocol.lenient import read_timestamp

_SHOWN_INSTEAD = "shown is when it was received"
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def time_corrected(row: Row[Any]) -> str:
    """Return why an event's time was corrected, as a sentence; empty if it was not.

    :param row: a row of ``events``.
    """
    because, said = row.timestamp_corrected, printable(row.client_timestamp or "")
    if because is None:
        return ""
    if because == DRIFT and (at := read_timestamp(said)) is not None:
        return f"Time corrected by {_duration(row.timestamp - at)}: the client's clock differs."
    if because == FUTURE:
        return f"The client's time {_seconds(said)} was still to come; {_SHOWN_INSTEAD}."
    if because == TOO_OLD:
        ago = f"more than {OLDEST.days} days before"
        return f"The client's time {_seconds(said)} is {ago}; {_SHOWN_INSTEAD}."
    at = read_timestamp(said)
    day = f"{at:%m-%d}" if at else ""
    shown = f"{at.year:04}-{day}" if at else said
    return f"The client's time {shown} cannot be; {_SHOWN_INSTEAD}."


def _seconds(said: str) -> str:
    at = read_timestamp(said)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else said


def _duration(by: timedelta) -> str:
    seconds = round(abs(by).total_seconds())
    name, unit = next((one for one in _UNITS if seconds >= one[1]), _UNITS[-1])
    return f"{round(seconds / unit):,} {name}"
