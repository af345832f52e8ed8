"""Sparklines: a day of events as 24 bars of inline SVG, with the same in words."""

from __future__ import annotations

from typing import NamedTuple

from app.admin.filters import plural

BAR_WIDTH = 3
HEIGHT = 18


class Sparkline(NamedTuple):
    """What the template draws.

    :param path: SVG path, a stroke upwards for each hour; an hour without events is a dot.
    :param label: what it shows, in words.
    """

    path: str
    label: str


def sparkline(hours: list[int]) -> Sparkline:
    """Return the sparkline of a count for each hour, oldest first."""
    most = max(hours, default=0)
    bars = (
        f"M{position * BAR_WIDTH + 1} {HEIGHT}v-{_height(count, most)}"
        for position, count in enumerate(hours)
    )
    return Sparkline("".join(bars), _words(sum(hours), most))


def sparklines(hours: dict[int, list[int]]) -> dict[int, Sparkline]:
    """Return the sparkline of each issue."""
    return {issue_id: sparkline(counts) for issue_id, counts in hours.items()}


def _height(count: int, most: int) -> int:
    # One event is to be seen beside a thousand, hence at least twice the dot of an empty hour.
    return max(2, round(HEIGHT * count / most)) if count else 1


def _words(total: int, most: int) -> str:
    if not total:
        return "no events in 24 hours"
    return f"{plural(total, 'event')} in 24 hours, at most {most:,} an hour"
