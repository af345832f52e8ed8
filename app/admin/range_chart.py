"""The chart of a range: bars of events, the range before as a thin line, and marks of releases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.admin.charts import HEIGHT, STEP, USED, Mark, Scale, bars, frame_of, line, span_of
from app.admin.filters import plural
from app.issues.series import Point, Series

# The steps of which the line is the mean, in a chart of more hours. Of hours that are not kept any
# more only the days are known.
SMOOTHED = 24


class RangeChart(NamedTuple):
    """The chart as the template draws it; the fields are like those of :class:`.charts.Charts`.

    :param path: SVG path of the bars.
    :param before: SVG path of the range before; empty if it is not known.
    :param releases: where a release was seen first.
    """

    width: int
    path: str
    before: str
    releases: list[Mark]
    most: int
    ends: tuple[str, str]
    marks: list[Mark]
    label: str


def range_chart(series: Series, releases: Iterable[tuple[datetime, str]] = ()) -> RangeChart:
    """Return the chart of a series.

    :param releases: when each release was seen first, and its name. Those outside the range are
        left out.
    """
    counts = [point.events for point in series.points]
    before = _line_of(series)
    step = timedelta(seconds=series.interval_s)
    most = max(counts, default=0)
    scale = Scale([max([most, *before])], HEIGHT, USED)
    since = series.points[0].at
    return RangeChart(
        **frame_of([_words(point) for point in series.points], since, step),
        path=bars(counts, max(1, round(scale.highest))),
        before=line(before, scale),
        releases=_releases(releases, since, step, len(counts)),
        most=most,
        label=_label(counts, sum(series.before) if series.before else None, step),
    )


def _line_of(series: Series) -> list[float]:
    """Return the values of the line: one for each step, the last ones of the range before."""
    before = series.before[-len(series.points) :]
    if len(before) <= 2 * SMOOTHED:
        return [float(count) for count in before]
    means = []
    for first in range(0, len(before), SMOOTHED):
        some = before[first : first + SMOOTHED]
        means += [sum(some) / len(some)] * len(some)
    return means


def _releases(
    releases: Iterable[tuple[datetime, str]], since: datetime, step: timedelta, steps: int
) -> list[Mark]:
    placed = [(int((at - since) / step * STEP), name) for at, name in releases]
    return [Mark(x, name) for x, name in placed if 0 <= x <= steps * STEP]


def _words(point: Point) -> str:
    text = plural(point.events, "event")
    return f"{text}, {plural(point.users, 'user')}" if point.users else text


def _label(counts: Sequence[int], before: int | None, step: timedelta) -> str:
    text = f"{plural(sum(counts), 'event')}; at most {max(counts, default=0):,} in {span_of(step)}"
    return text if before is None else f"{text}; {before:,} in the range before"
