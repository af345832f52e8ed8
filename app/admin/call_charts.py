"""The chart of tokens over time, drawn like the charts of requests (:mod:`.charts`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.admin.charts import Mark, bars, frame_of, span_of
from app.admin.filters import plural
from app.insights.ai_calls import CallFigures


class TokenChart(NamedTuple):
    """The chart as the template draws it.

    :param total: SVG path of the bars of all tokens.
    :param output: SVG path of the bars of output tokens.
    :param most: the highest bar, in tokens.
    :param ends: the first and the last step, as text.
    """

    width: int
    total: str
    output: str
    most: int
    ends: tuple[str, str]
    marks: list[Mark]
    label: str


def token_chart(steps: Sequence[CallFigures], since: datetime, step: timedelta) -> TokenChart:
    """Return the chart of the tokens of each step.

    :param steps: oldest first; at least one.
    """
    totals = [one.total_tokens for one in steps]
    most = max(totals, default=0)
    return TokenChart(
        **frame_of([_words(one) for one in steps], since, step),
        total=bars(totals, most),
        # A client may report fewer tokens in total than output tokens.
        output=bars([min(one.output_tokens, one.total_tokens) for one in steps], most),
        most=most,
        label=f"{plural(sum(totals), 'token')}; at most {most:,} in {span_of(step)}",
    )


def _words(figures: CallFigures) -> str:
    if not figures.total_tokens:
        return "no token"
    parts = f"{figures.input_tokens:,} in, {figures.output_tokens:,} out"
    return f"{plural(figures.total_tokens, 'token')} ({parts})"
