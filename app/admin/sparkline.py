"""Sparklines: 24 hours of events as 24 bars of inline SVG, with a text of the same numbers."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from app.admin.filters import plural

BAR_WIDTH = 3
HEIGHT = 18


class Sparkline(NamedTuple):
    """The sparkline as the template draws it.

    :param path: SVG path, a stroke upwards for each hour; an hour without events is a dot.
    :param label: the content of the sparkline, in words.
    :param width: of the drawing; more than 24 bars are drawn narrower.
    """

    path: str
    label: str
    width: int = BAR_WIDTH * 24


def sparkline(hours: list[int]) -> Sparkline:
    """Return the sparkline of a count for each hour, oldest first."""
    return _sparkline(tuple(hours))


def sparklines(hours: dict[int, list[int]]) -> dict[int, Sparkline]:
    """Return the sparkline of each issue."""
    return {issue_id: sparkline(counts) for issue_id, counts in hours.items()}


@lru_cache(maxsize=1000)
def _sparkline(hours: tuple[int, ...]) -> Sparkline:
    most = max(hours, default=0)
    bars = [_bar(position, _height(count, most)) for position, count in enumerate(hours)]
    width = BAR_WIDTH * max(24, len(hours))
    return Sparkline("".join(bars), _words(sum(hours), most), width)


@cache
def _bar(position: int, height: int) -> str:
    return f"M{position * BAR_WIDTH + 1} {HEIGHT}v-{height}"


def _height(count: int, most: int) -> int:
    # One event must be visible beside a thousand: it is at least twice as high as the dot of an
    # hour without events.
    return max(2, round(HEIGHT * count / most)) if count else 1


def _words(total: int, most: int) -> str:
    if not total:
        return "no events in 24 hours"
    return f"{plural(total, 'event')} in 24 hours, at most {most:,} an hour"
