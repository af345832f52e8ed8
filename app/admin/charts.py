"""Charts: requests and durations over time as inline SVG, with the same in words.

Both are drawn in a box of STEP units for each step and HEIGHT units of height, stretched by the
page; each step has a title that says its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from app.admin.filters import milliseconds, percent, plural, users
from app.insights.performance import Figures, Percentiles, Rate
from app.stats.users import date_of

STEP = 10
HEIGHT = 100
# Of the height: the highest value stays off the top, for the line's own width.
USED = 0.94
# A failure among thousands is to be seen.
LEAST = 1.5


Values = Sequence[float | None]


class Mark(NamedTuple):
    """One step: where it begins, in units, and its numbers in words."""

    x: int
    title: str


class Scale:
    """Where values stand in a box: 0 and all of them are in it."""

    def __init__(self, values: Values, height: float, used: float = 1.0) -> None:
        known = [value for value in values if value is not None]
        self.lowest = min(known, default=0.0)
        self.highest = max(known, default=0.0)
        self._bottom = min(self.lowest, 0.0)
        self._range = max(self.highest, 0.0) - self._bottom
        self._height, self._used = height, used

    def y(self, value: float) -> float:
        """Return how far from the top a value is."""
        share = (value - self._bottom) / self._range if self._range else 0.0
        return self._height * (1 - share * self._used)


class Charts(NamedTuple):
    """What the template draws.

    :param width: of the box; its height is :data:`HEIGHT`.
    :param requests: path of the bars; ``failures`` is that of their failed parts.
    :param most: the highest bar, in requests.
    :param p50: path of the median, broken where nothing is known; ``p95`` is the other one.
    :param slowest: the highest point, as text.
    :param ends: the first and the last step, as text.
    """

    width: int
    requests: str
    failures: str
    most: int
    p50: str
    p95: str
    slowest: str
    ends: tuple[str, str]
    marks: list[Mark]
    requests_label: str
    durations_label: str


def charts(
    steps: Sequence[Figures], since: datetime, step: timedelta, noun: str = "request"
) -> Charts:
    """Return the charts of the figures of each step, oldest first, of which there are some.

    :param noun: what was counted.
    """
    rates = [one.rate for one in steps]
    found = [one.percentiles for one in steps]
    most = max((rate.requests for rate in rates), default=0)
    slowest = max((one.p95_ms or 0 for one in found), default=0)
    total = Rate(sum(r.requests for r in rates), sum(r.failures for r in rates))
    scale = Scale([slowest], HEIGHT, USED)
    words = [_words(noun, *one) for one in zip(rates, found, strict=True)]
    return Charts(
        **frame_of(words, since, step),
        requests=bars([rate.requests for rate in rates], most),
        failures=bars([rate.failures for rate in rates], most),
        most=most,
        p50=line([one.p50_ms for one in found], scale),
        p95=line([one.p95_ms for one in found], scale),
        slowest=milliseconds(slowest),
        requests_label=f"{plural(total.requests, noun)}, {total.failures:,} failed; at most"
        f" {most:,} in {span_of(step)}",
        durations_label=f"Median and 95th percentile of every {span_of(step)}; the highest is"
        f" {milliseconds(slowest)}",
    )


class DayBars(NamedTuple):
    """Bars of a count for each day; like :class:`Charts`."""

    width: int
    path: str
    most: int
    ends: tuple[str, str]
    marks: list[Mark]
    label: str


def user_bars(days: Sequence[tuple[int, int]]) -> DayBars:
    """Return the bars of how many users each day had.

    :param days: days since 1970 with their users, oldest first, of which there are some.
    """
    most = max(count for _, count in days)
    words = [f"{users(count)} {'user' if count == 1 else 'users'}" for _, count in days]
    first = datetime.combine(date_of(days[0][0]), time(), UTC)
    return DayBars(
        **frame_of(words, first, timedelta(days=1)),
        path=bars([count for _, count in days], most),
        most=most,
        label=f"Users of each of {len(days)} days; at most {users(most)}",
    )


def bars(counts: list[int], most: int) -> str:
    """Return the path of a bar for each step, none where nothing was counted."""
    return "".join(
        f"M{number * STEP + 1} {HEIGHT}v-{max(count / most * HEIGHT * USED, LEAST):.1f}"
        f"h{STEP - 2}V{HEIGHT}z"
        for number, count in enumerate(counts)
        if count
    )


def line(values: Values, scale: Scale) -> str:
    """Return the path of a step for each value, joined to the one before; a gap where none is."""
    parts, joined = [], False
    for number, value in enumerate(values):
        if value is not None:
            parts.append(f"{'L' if joined else 'M'}{number * STEP} {scale.y(value):.1f}h{STEP}")
        joined = value is not None
    return "".join(parts)


def _words(noun: str, rate: Rate, found: Percentiles) -> str:
    if not rate.requests:
        return f"no {noun}"
    text = plural(rate.requests, noun)
    if rate.failures:
        text += f", {rate.failures:,} failed ({percent(rate.share)})"
    if found.p50_ms is not None and found.p95_ms is not None:
        text += f", median {milliseconds(found.p50_ms)}, p95 {milliseconds(found.p95_ms)}"
    return text


def frame_of(words: Sequence[str], since: datetime, step: timedelta) -> dict[str, Any]:
    """Return what every chart has: its width, its ends and a mark for each step.

    :param words: what each step has, oldest first, of which there are some.
    """
    moments = [moment_of(since + number * step, step) for number in range(len(words))]
    marks = [
        Mark(number * STEP, f"{moment}: {text}")
        for number, (moment, text) in enumerate(zip(moments, words, strict=True))
    ]
    return {"width": len(words) * STEP, "ends": (moments[0], moments[-1]), "marks": marks}


def moment_of(moment: datetime, step: timedelta) -> str:
    """Return where a step begins, as text."""
    date = f"{moment.day} {moment:%b}"
    return date if step >= timedelta(days=1) else f"{date} {moment:%H:%M}"


def span_of(step: timedelta) -> str:
    """Return how long a step is, as text."""
    minutes = int(step.total_seconds()) // 60
    names = {1: "1 minute", 60: "1 hour", 24 * 60: "1 day"}
    return names.get(minutes) or (
        f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} hours"
    )
