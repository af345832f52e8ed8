"""Charts of custom metrics, with the size and the titles of :mod:`.charts`.

A counter is drawn as bars of its sum. A gauge is drawn as a line of its average and a band from
minimum to maximum. A distribution is drawn as median and 95th percentile. Gauges and distributions
have a second chart with the number of values. The scale always includes 0, so that heights can be
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.admin.charts import (
    HEIGHT,
    LEAST,
    STEP,
    USED,
    Mark,
    Scale,
    Values,
    frame_of,
    line,
    span_of,
)
from app.admin.filters import plural, quantity
from app.admin.sparkline import BAR_WIDTH, Sparkline
from app.admin.sparkline import HEIGHT as SPARKLINE_HEIGHT
from app.insights.metrics import Line, MetricFigures, MetricName
from app.protocol.metrics import COUNTER, DISTRIBUTION, GAUGE

_BARS = 24


class Curve(NamedTuple):
    """One path of a chart; ``style`` is a class of the style sheet, ``name`` is for the legend."""

    name: str
    style: str
    path: str


class MetricChart(NamedTuple):
    """The chart as the template draws it.

    :param zero: SVG path of the line at 0; empty if 0 is at the bottom.
    :param top: the highest value, as text.
    :param bottom: the lowest value, as text; empty unless it is below 0.
    :param ends: the first and the last step, as text.
    :param label: the content of the chart, in words.
    """

    title: str
    width: int
    curves: list[Curve]
    zero: str
    top: str
    bottom: str
    ends: tuple[str, str]
    marks: list[Mark]
    label: str


def metric_charts(
    metric: MetricName, steps: Sequence[MetricFigures], since: datetime, step: timedelta
) -> list[MetricChart]:
    """Return the charts of a metric.

    :param steps: the figures of each step, oldest first.
    """
    frame = _Frame(metric, steps, since, step)
    if metric.type == COUNTER:
        return [frame.sums()]
    return [frame.range() if metric.type == GAUGE else frame.percentiles(), frame.counts()]


def metric_sparkline(line: Line) -> Sparkline:
    """Return 24 bars of a metric: the sums of a counter, the averages of any other type."""
    groups = [MetricFigures() for _ in range(_BARS)]
    for number, figures in enumerate(line.steps):
        groups[number * _BARS // len(line.steps)].add(figures)
    is_counter = line.metric.type == COUNTER
    values = [group.sum if is_counter and group.count else group.average for group in groups]
    scale = Scale(values, SPARKLINE_HEIGHT)
    bars = (
        f"M{number * BAR_WIDTH + 1} {SPARKLINE_HEIGHT}v-{_bar(scale, value)}"
        for number, value in enumerate(values)
    )
    word, unit = "sum" if is_counter else "average", line.metric.unit
    low, high = quantity(scale.lowest, unit), quantity(scale.highest, unit)
    return Sparkline("".join(bars), f"{word} over time, from {low} to {high}")


def _bar(scale: Scale, value: float | None) -> int:
    # A small value must be visible beside a large value: it is at least twice as high as the dot
    # of a step without values.
    return 1 if value is None else max(2, round(SPARKLINE_HEIGHT - scale.y(value)))


class _Frame:
    """The common part of the charts of a metric."""

    def __init__(
        self, metric: MetricName, steps: Sequence[MetricFigures], since: datetime, step: timedelta
    ) -> None:
        self._unit, self._steps, self._span = metric.unit, steps, span_of(step)
        self._frame = frame_of([words_of(metric, one) for one in steps], since, step)

    def sums(self) -> MetricChart:
        sums = [one.sum if one.count else None for one in self._steps]
        scale = Scale(sums, HEIGHT, USED)
        words = f"Sum of every {self._span}"
        return self._chart("Total", [Curve("", "requests", _bars(sums, scale))], scale, words)

    def counts(self) -> MetricChart:
        counts = [float(one.count) or None for one in self._steps]
        scale = Scale(counts, HEIGHT, USED)
        words, curve = f"Values in every {self._span}", Curve("", "requests", _bars(counts, scale))
        return self._chart("Values", [curve], scale, words, unit="")

    def range(self) -> MetricChart:
        low = [one.least if one.count else None for one in self._steps]
        high = [one.most if one.count else None for one in self._steps]
        scale = Scale([*low, *high], HEIGHT, USED)
        curves = [
            Curve("least to most", "band", _band(low, high, scale)),
            Curve("average", "p50", line([one.average for one in self._steps], scale)),
        ]
        return self._chart("Value", curves, scale, f"Average and range of every {self._span}")

    def percentiles(self) -> MetricChart:
        found = [one.percentiles for one in self._steps]
        median, p95 = [one[0] for one in found], [one[2] for one in found]
        scale = Scale([*median, *p95], HEIGHT, USED)
        curves = [
            Curve("p95", "p95", line(p95, scale)),
            Curve("median", "p50", line(median, scale)),
        ]
        words = f"Median and 95th percentile of every {self._span}"
        return self._chart("Value", curves, scale, words)

    def _chart(
        self, title: str, curves: list[Curve], scale: Scale, words: str, unit: str | None = None
    ) -> MetricChart:
        unit = self._unit if unit is None else unit
        low, high = quantity(scale.lowest, unit), quantity(scale.highest, unit)
        return MetricChart(
            **self._frame,
            title=title,
            curves=curves,
            zero=f"M0 {scale.y(0):.1f}h{len(self._steps) * STEP}" if scale.lowest < 0 else "",
            top=high,
            bottom=low if scale.lowest < 0 else "",
            label=f"{words}, from {low} to {high}",
        )


def words_of(metric: MetricName, figures: MetricFigures) -> str:
    """Return the figures of a metric in words."""
    if not figures.count:
        return "no value"
    unit, text = metric.unit, plural(figures.count, "value")
    if metric.type == COUNTER:
        return f"{quantity(figures.sum, unit)} in {text}"
    if metric.type == DISTRIBUTION:
        median, _, p95, _ = figures.percentiles
        return f"{text}, median {quantity(median, unit)}, p95 {quantity(p95, unit)}"
    low, high = quantity(figures.least, unit), quantity(figures.most, unit)
    average = quantity(figures.average, unit)
    return f"{text} from {low} to {high}, average {average}, last {quantity(figures.last, unit)}"


def _bars(values: Values, scale: Scale) -> str:
    """Return a bar from 0 for each value; a bar has at least the height :data:`LEAST`."""
    zero, parts = scale.y(0), []
    for number, value in enumerate(values):
        if value is not None:
            height = zero - scale.y(value)
            if abs(height) < LEAST:
                height = LEAST if height >= 0 else -LEAST
            parts.append(f"M{number * STEP + 1} {zero:.1f}v{-height:.1f}h{STEP - 2}v{height:.1f}z")
    return "".join(parts)


def _band(low: Values, high: Values, scale: Scale) -> str:
    parts = []
    for number, (least, most) in enumerate(zip(low, high, strict=True)):
        if least is not None and most is not None:
            top, bottom = scale.y(most), scale.y(least)
            parts.append(f"M{number * STEP} {top:.1f}h{STEP}V{max(bottom, top + 1):.1f}h-{STEP}z")
    return "".join(parts)
