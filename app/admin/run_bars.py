"""The latest runs of a monitor as bars: as high as each took, and marked by how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.admin.filters import absolute, duration, milliseconds, plural

SHOWN, SHOWN_IN_LIST = 40, 24
WIDTH, GAP, HEIGHT = 6, 2, 40
# Bars of runs without a duration, and the smallest of the others.
UNKNOWN, SMALLEST = 40, 4
WORDS = {
    "in_progress": "running",
    "ok": "ok",
    "error": "failed",
    "missed": "missed",
    "timeout": "timed out",
}
BAD = ("error", "missed", "timeout")


class Bar(NamedTuple):
    """A run."""

    x: int
    height: int
    kind: str
    title: str


class RunBars(NamedTuple):
    """The bars of some runs, and what they show in words."""

    bars: list[Bar]
    width: int
    label: str


def run_bars(runs: Sequence[Any], shown: int = SHOWN) -> RunBars:
    """Return the bars of runs, the oldest first.

    :param shown: for how many bars there is room.
    """
    longest = max((run.duration_ms or 0 for run in runs), default=0)
    bars = [
        Bar(place * (WIDTH + GAP), _height(run, longest), kind_of(run), _title(run))
        for place, run in enumerate(runs)
    ]
    return RunBars(bars, shown * (WIDTH + GAP) - GAP, _label(runs))


def kind_of(run: Any) -> str:
    """Return how a run ended, ``away`` if nobody knows."""
    return "away" if run.away else str(run.status)


def words_of(run: Any) -> str:
    """Return how a run ended, in words."""
    if not run.away:
        word = WORDS[run.status]
        return word if run.runs == 1 else f"{plural(run.runs, 'run')} {word}"
    if run.status == "timeout":
        return "no end seen, DevEnviro was away"
    return f"{plural(run.runs, 'run')} expected while DevEnviro was away"


def took(duration_ms: float) -> str:
    """Return how long a run took, in words."""
    if duration_ms < 1000:
        return milliseconds(duration_ms)
    return duration(duration_ms / 1000)


def _height(run: Any, longest: float) -> int:
    if run.duration_ms is None or not longest:
        return UNKNOWN if run.status in BAD else HEIGHT // 2
    return max(SMALLEST, int(HEIGHT * run.duration_ms / longest))


def _title(run: Any) -> str:
    end = "" if run.duration_ms is None else f", took {took(run.duration_ms)}"
    return f"{absolute(run.at)}: {words_of(run)}{end}"


def _label(runs: Sequence[Any]) -> str:
    # What was expected while this service was away is one row of which nothing is known.
    count = sum(1 if run.away else run.runs for run in runs)
    bad = sum(run.runs for run in runs if run.status in BAD and not run.away)
    return f"The latest {plural(count, 'run')}, {bad or 'none'} of them failed"
