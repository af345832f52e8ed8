"""AI calls: tokens, durations and failures, by model, by operation or over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import Connection

from app.api.insight_page import milliseconds
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.insights.ai_calls import PERIODS, CallFigures, Selection, Sort, over_time, ranked, survey
from app.insights.inputs import InsightQuery, Name
from app.web import access
from app.web.current import current_store

route = Routes("insights")


class AiCalls(ApiModel):
    """The figures of the AI calls of one model, one operation, or one step of time.

    By model and by time, only calls of models are counted unless an operation is chosen: the span
    of an agent encloses the spans of its calls and includes their tokens. A percentile is null if
    no duration is known; its error is at most 2.5 %.
    """

    model: str | None = Field(description="Null unless counted by model; may be empty.")
    operation: str | None = Field(description="Null unless it is counted by operation.")
    kind: Literal["model", "agent", "tool", "handoff"] | None = Field(
        description="What does the work; null by time where an operation is chosen."
    )
    at: datetime | None = Field(description="Where the step begins; null unless by time.")
    calls: int
    failures: int
    failure_rate: float = Field(description="From 0 to 1.")
    input_tokens: int = Field(description="Of the calls that say so; cached ones included.")
    output_tokens: int = Field(description="Of the calls that say so; of reasoning, too.")
    total_tokens: int
    p50_ms: float | None
    p75_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class AiCallsPage(ApiModel):
    """A page of figures and their time window, from `since` (included) to `until` (excluded)."""

    ai_calls: list[AiCalls]
    next: str | None
    total: int
    since: datetime
    until: datetime


class AiCallsQuery(InsightQuery):
    """The AI calls to count, and how to group them."""

    periods: ClassVar = PERIODS

    period: Annotated[
        Literal["day", "week", "month", "quarter"],
        Field(description="The last 24 hours, 7 days or 90 days, and the step by time."),
    ] = "day"
    by: Literal["model", "operation", "time"] = "model"
    sort: Annotated[
        Sort, Field(description="What comes first; slowest is by p95. Not for time.")
    ] = "busiest"
    model: Name | None = None
    operation: Name | None = None
    release: Name | None = None
    environment: Name | None = None


@route("GET /api/ai-calls", access.reads)
def get_ai_calls(query: AiCallsQuery) -> AiCallsPage:
    """Return tokens, durations and failures of AI calls."""
    selection = query.select(Selection)
    with current_store().read() as conn:
        found = list(_shapes(conn, query, selection))
    return AiCallsPage(ai_calls=query.page(found), **query.place(len(found), selection))


def _shapes(conn: Connection, query: AiCallsQuery, selection: Selection) -> Iterator[AiCalls]:
    if query.by == "time":
        step, of = query.step, selection.headline
        for number, one in enumerate(over_time(conn, of, step)):
            yield _shape(one, at=selection.since + number * step, kind=of.kind)
        return
    for line in ranked(survey(conn, selection)[query.by], query.sort):
        yield _shape(line.figures, kind=line.kind, **{query.by: line.name})


def _shape(figures: CallFigures, **named: str | datetime | None) -> AiCalls:
    values: dict[str, Any] = {"model": None, "operation": None, "at": None, **named}
    return AiCalls(
        calls=figures.requests,
        failures=figures.failures,
        failure_rate=round(figures.rate.share, 6),
        input_tokens=figures.input_tokens,
        output_tokens=figures.output_tokens,
        total_tokens=figures.total_tokens,
        **milliseconds(figures.percentiles),
        **values,
    )
