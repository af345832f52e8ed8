"""Performance: throughput, failures and percentiles, by transaction, by release or over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import Connection

from app.api.insight_page import milliseconds
from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.insights.inputs import PerformanceQuery
from app.insights.performance import (
    Percentiles,
    Rate,
    Selection,
    figures_by,
    over_time,
    ranked,
)
from app.web import access
from app.web.current import current_store

route = Routes("insights")


class Performance(ApiModel):
    """The figures of one transaction, one release, or one step of time.

    A percentile is null if no duration is known; its error is at most 2.5 %.
    """

    transaction: str | None = Field(description="Null unless it is counted by transaction.")
    release: str | None = Field(description="Null unless counted by release; may be empty.")
    at: datetime | None = Field(description="Where the step begins; null unless by time.")
    requests: int
    failures: int
    failure_rate: float = Field(description="From 0 to 1.")
    per_minute: float
    p50_ms: float | None
    p75_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class PerformancePage(ApiModel):
    """A page of figures and their time window, from `since` (included) to `until` (excluded)."""

    performance: list[Performance]
    next: str | None
    total: int
    since: datetime
    until: datetime


@route("GET /api/performance", access.reads)
def get_performance(query: PerformanceQuery) -> PerformancePage:
    """Return durations, throughput and failures of requests."""
    selection = query.select(Selection)
    with current_store().read() as conn:
        found = list(_shapes(conn, query, selection))
    return PerformancePage(performance=query.page(found), **query.place(len(found), selection))


def _shapes(
    conn: Connection, query: PerformanceQuery, selection: Selection
) -> Iterator[Performance]:
    """Yield the figures of every transaction, release or step."""
    step = query.step
    if query.by == "time":
        for number, one in enumerate(over_time(conn, selection, step)):
            at = selection.since + number * step
            yield _shape(one.rate, one.percentiles, step, at=at)
        return
    length = selection.until - selection.since
    for line in ranked(figures_by(conn, selection, query.by), query.sort):
        yield _shape(line.rate, line.percentiles, length, **{query.by: line.name})


def _shape(
    rate: Rate, percentiles: Percentiles, length: timedelta, **named: str | datetime
) -> Performance:
    values: dict[str, Any] = {"transaction": None, "release": None, "at": None, **named}
    return Performance(
        requests=rate.requests,
        failures=rate.failures,
        failure_rate=round(rate.share, 6),
        per_minute=round(rate.requests / (length.total_seconds() / 60), 3),
        **milliseconds(percentiles),
        **values,
    )
