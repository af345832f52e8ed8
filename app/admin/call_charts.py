"""The chart of tokens over time, drawn as those of requests are (:mod:`.charts`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.admin.charts import STEP, Mark, bars, moment_of, span_of
from app.admin.filters import plural
from app.insights.ai_calls import CallFigures


class TokenChart(NamedTuple):
    """What the template draws.

    :param total: path of the bars; ``output`` is that of the answers' part.
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
    """Return the chart of the tokens of each step, oldest first, of which there are some."""
    totals = [one.total_tokens for one in steps]
    moments = [moment_of(since + number * step, step) for number in range(len(steps))]
    most = max(totals, default=0)
    words = [_words(*one) for one in zip(moments, steps, strict=True)]
    return TokenChart(
        width=len(steps) * STEP,
        total=bars(totals, most),
        # A client may state less in total than in part.
        output=bars([min(one.output_tokens, one.total_tokens) for one in steps], most),
        most=most,
        ends=(moments[0], moments[-1]),
        marks=[Mark(number * STEP, text) for number, text in enumerate(words)],
        label=f"{plural(sum(totals), 'token')}; at most {most:,} in {span_of(step)}",
    )


def _words(moment: str, figures: CallFigures) -> str:
    if not figures.total_tokens:
        return f"{moment}: no token"
    parts = f"{figures.input_tokens:,} in, {figures.output_tokens:,} out"
    return f"{moment}: {plural(figures.total_tokens, 'token')} ({parts})"
