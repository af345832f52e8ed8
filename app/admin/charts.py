"""Charts: requests and durations over time as inline SVG, with a text of the same numbers.

A chart is STEP units wide for each step and HEIGHT units high; the page stretches it. Each step
has a title with its numbers.
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
# Share of the height. The highest value stays below the top, so that the line is not cut.
USED = 0.94
# Minimum height of a bar: one failure among thousands must be visible.
LEAST = 1.5


Values = Sequence[float | None]


class Mark(NamedTuple):
    """One step: where it begins, in units, and its numbers as text."""

    x: int
    title: str


class Scale:
    """The vertical scale of a chart; it includes 0 and all values."""

    def __init__(self, values: Values, height: float, used: float = 1.0) -> None:
        known = [value for value in values if value is not None]
        self.lowest = min(known, default=0.0)
        self.highest = max(known, default=0.0)
        self._bottom = min(self.lowest, 0.0)
        self._range = max(self.highest, 0.0) - self._bottom
        self._height, self._used = height, used

    def y(self, value: float) -> float:
        """Return the distance of a value from the top, in units."""
        share = (value - self._bottom) / self._range if self._range else 0.0
        return self._height * (1 - share * self._used)


class Charts(NamedTuple):
    """The charts as the template draws them.

    :param width: in units; the height is :data:`HEIGHT`.
    :param requests: SVG path of the bars of all requests.
    :param failures: SVG path of the bars of failed requests.
    :param most: the highest bar, in requests.
    :param p50: SVG path of the median, with gaps where no duration is known.
    :param p95: SVG path of the 95th percentile, with the same gaps.
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
    """Return the charts of the figures of each step.

    :param steps: oldest first; at least one.
    :param noun: what was counted, in the singular.
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


class CountBars(NamedTuple):
    """Bars of a count for each step; the fields are like those of :class:`Charts`."""

    width: int
    path: str
    most: int
    ends: tuple[str, str]
    marks: list[Mark]
    label: str


def user_bars(days: Sequence[tuple[int, int]]) -> CountBars:
    """Return the bars of how many users each day had.

    :param days: days since 1970 with their number of users, oldest first; at least one.
    """
    most = max(count for _, count in days)
    words = [f"{users(count)} {'user' if count == 1 else 'users'}" for _, count in days]
    first = datetime.combine(date_of(days[0][0]), time(), UTC)
    return CountBars(
        **frame_of(words, first, timedelta(days=1)),
        path=bars([count for _, count in days], most),
        most=most,
        label=f"Users of each of {len(days)} days; at most {users(most)}",
    )


def count_bars(counts: Sequence[int], since: datetime, step: timedelta, noun: str) -> CountBars:
    """Return the bars of how many of something each step had.

    :param counts: oldest first; at least one.
    """
    most = max(counts)
    words = [plural(count, noun) if count else f"no {noun}" for count in counts]
    return CountBars(
        **frame_of(words, since, step),
        path=bars(list(counts), most),
        most=most,
        label=f"{plural(sum(counts), noun)}; at most {most:,} in {span_of(step)}",
    )


def bars(counts: list[int], most: int) -> str:
    """Return the SVG path of a bar for each step; a count of 0 has no bar."""
    return "".join(
        f"M{number * STEP + 1} {HEIGHT}v-{max(count / most * HEIGHT * USED, LEAST):.1f}"
        f"h{STEP - 2}V{HEIGHT}z"
        for number, count in enumerate(counts)
        if count
    )


def line(values: Values, scale: Scale) -> str:
    """Return the SVG path of a step line through the values; ``None`` is a gap."""
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
    """Return the fields that every chart has: width, ends, and a mark for each step.

    :param words: the text of each step, oldest first; at least one.
    """
    moments = [moment_of(since + number * step, step) for number in range(len(words))]
    marks = [
        Mark(number * STEP, f"{moment}: {text}")
        for number, (moment, text) in enumerate(zip(moments, words, strict=True))
    ]
    return {"width": len(words) * STEP, "ends": (moments[0], moments[-1]), "marks": marks}


def moment_of(moment: datetime, step: timedelta) -> str:
    """Return the beginning of a step as text."""
    date = f"{moment.day} {moment:%b}"
    return date if step >= timedelta(days=1) else f"{date} {moment:%H:%M}"


def span_of(step: timedelta) -> str:
    """Return the length of a step as text."""
    minutes = int(step.total_seconds()) // 60
    names = {1: "1 minute", 60: "1 hour", 24 * 60: "1 day"}
    return names.get(minutes) or (
        f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} hours"
    )
