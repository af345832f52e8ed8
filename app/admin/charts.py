"""Charts: requests and durations over time as inline SVG, with the same in words.

Both are drawn in a box of STEP units for each step and HEIGHT units of height, stretched by the
page; each step has a title that says its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.admin.filters import milliseconds, percent, plural, users
from app.insights.performance import Figures, Percentiles, Rate
from app.stats.users import date_of

STEP = 10
HEIGHT = 100
# Of the height: the highest value stays off the top, for the line's own width.
_USED = 0.94
# A failure among thousands is to be seen.
_LEAST = 1.5


class Mark(NamedTuple):
    """One step: where it begins, in units, and its numbers in words."""

    x: int
    title: str


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
    moments = [moment_of(since + number * step, step) for number in range(len(steps))]
    words = [_words(noun, *one) for one in zip(moments, rates, found, strict=True)]
    total = Rate(sum(r.requests for r in rates), sum(r.failures for r in rates))
    return Charts(
        width=len(steps) * STEP,
        requests=bars([rate.requests for rate in rates], most),
        failures=bars([rate.failures for rate in rates], most),
        most=most,
        p50=_line([one.p50_ms for one in found], slowest),
        p95=_line([one.p95_ms for one in found], slowest),
        slowest=milliseconds(slowest),
        ends=(moments[0], moments[-1]),
        marks=[Mark(number * STEP, text) for number, text in enumerate(words)],
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
    dates = [f"{one.day} {one:%b}" for one in (date_of(day) for day, _ in days)]
    words = [
        f"{date}: {users(count)} {'user' if count == 1 else 'users'}"
        for date, (_, count) in zip(dates, days, strict=True)
    ]
    return DayBars(
        width=len(days) * STEP,
        path=bars([count for _, count in days], most),
        most=most,
        ends=(dates[0], dates[-1]),
        marks=[Mark(number * STEP, text) for number, text in enumerate(words)],
        label=f"Users of each of {len(days)} days; at most {users(most)}",
    )


def bars(counts: list[int], most: int) -> str:
    """Return the path of a bar for each step, none where nothing was counted."""
    return "".join(
        f"M{number * STEP + 1} {HEIGHT}v-{max(count / most * HEIGHT * _USED, _LEAST):.1f}"
        f"h{STEP - 2}V{HEIGHT}z"
        for number, count in enumerate(counts)
        if count
    )


def _line(values: list[float | None], highest: float) -> str:
    """Return a step for each value, joined to the one before; a gap where there is none."""
    parts, joined = [], False
    for number, value in enumerate(values):
        if value is not None:
            y = HEIGHT - (value / highest if highest else 0) * HEIGHT * _USED
            parts.append(f"{'L' if joined else 'M'}{number * STEP} {y:.1f}h{STEP}")
        joined = value is not None
    return "".join(parts)


def _words(noun: str, moment: str, rate: Rate, found: Percentiles) -> str:
    if not rate.requests:
        return f"{moment}: no {noun}"
    text = f"{moment}: {plural(rate.requests, noun)}"
    if rate.failures:
        text += f", {rate.failures:,} failed ({percent(rate.share)})"
    if found.p50_ms is not None and found.p95_ms is not None:
        text += f", median {milliseconds(found.p50_ms)}, p95 {milliseconds(found.p95_ms)}"
    return text


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
