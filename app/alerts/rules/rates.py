"""Rules that compare rates and latency of requests and sessions with a threshold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.insights import health, performance


class Figure(NamedTuple):
    """A value, and the number of requests or sessions that it is computed from."""

    value: float
    of: int


class RateKind(RuleKind):
    """A kind that compares a value of the window with the threshold.

    :cvar words: the value in words, with ``{value}``.
    :cvar is_breached_above: whether the threshold is a maximum. Otherwise it is a minimum.
    """

    words: ClassVar[str]
    is_breached_above: ClassVar[bool] = True
    counted = "requests"
    window_minutes = 15
    minimum = 20

    def figure(self, *window: Any) -> Figure | None:
        """Return the value, ``None`` if there is no data.

        :param window: connection, project id, since and until, as :mod:`app.insights` expects them.
        """
        raise NotImplementedError

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Compare the value with the threshold."""
        since = question.now - timedelta(minutes=rule.window_minutes or 0)
        figure = self.figure(question.conn, rule.project_id, since, question.now)
        window = f"within {rule.window_minutes} minutes"
        if figure is None or figure.of == 0:
            return Reading(None, False, f"No data yet: no {self.counted} {window}.")
        title = self.words.format(value=figure.value)
        detail = f"{title} {window}, of {figure.of:,} {self.counted}."
        minimum, threshold = rule.minimum or 0, rule.threshold or 0.0
        if figure.of < minimum:
            return Reading(None, False, f"{detail} Too few to tell: {minimum:,} are needed.")
        above, below = figure.value > threshold, figure.value < threshold
        is_breach = above if self.is_breached_above else below
        return Reading(figure.value, is_breach, detail, title)


@KINDS.register("error_rate", "Error rate", position=40)
class ErrorRate(RateKind):
    """Measures how many of 100 requests failed."""

    summary = "More of the requests fail."
    threshold = Threshold(5, "%", "above {:g} %", highest=100)
    words = "Error rate of {value:.1f} %"
    preset = Preset("error_rate", "Error rate above 5 %")

    def figure(self, *window: Any) -> Figure | None:
        """Return how many of 100 requests failed."""
        rate = performance.error_rate(*window)
        return Figure(rate.share * 100, rate.requests) if rate.requests else None


@KINDS.register("p95", "Latency", position=41)
class Latency(RateKind):
    """Measures the time that 95 of 100 requests took at most."""

    summary = "95 of 100 requests are faster, the others slower than this."
    threshold = Threshold(2000, "ms", "above {:,g} ms", highest=3_600_000, lowest=1)
    words = "p95 of {value:,.0f} ms"
    preset = Preset("p95", "p95 above 2 s")

    def figure(self, *window: Any) -> Figure | None:
        """Return the time in milliseconds that 95 of 100 requests took at most."""
        found = performance.latency(*window)
        return None if found.p95_ms is None else Figure(found.p95_ms, found.measured)


@KINDS.register("crash_free", "Crash-free sessions", position=42)
class CrashFree(RateKind):
    """Measures how many of 100 sessions ended without a crash."""

    summary = "Fewer sessions end without a crash."
    threshold = Threshold(99, "%", "below {:g} %", highest=100)
    window_minutes = 60
    minimum = 100
    counted = "sessions"
    words = "{value:.2f} % of sessions without a crash"
    is_breached_above = False

    def figure(self, *window: Any) -> Figure | None:
        """Return how many of 100 sessions ended without a crash."""
        conn, *of = window
        sessions, crashed, *_ = health.counts_of(conn, health.Selection(*of))
        # Multiply before dividing, so that whole percentages stay whole: 0.57 * 100 is below 57.
        return Figure((sessions - crashed) * 100 / sessions, sessions) if sessions else None
