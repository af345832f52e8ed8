"""Custom metrics: what projects count and measure, in total, by release or over time.

The metrics of this service for Prometheus are in :mod:`.metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.insights.inputs import InsightQuery, Name
from app.insights.metrics import (
    MetricFigures,
    MetricName,
    MetricSelection,
    detail_of,
    lines_of,
    names_of,
)
from app.store import in_batches
from app.web import access
from app.web.current import current_store
from app.web.errors import FieldErrors

MetricType = Literal["counter", "gauge", "distribution"]

# How many metrics one call of `lines_of` reads: it keeps the figures of each step of each metric
# in memory.
_AT_A_TIME = 50
# In the order of the percentiles of app.insights.metrics.
_PERCENTILES = ("p50", "p75", "p95", "p99")

route = Routes("insights")


class CustomMetric(ApiModel):
    """The figures of a metric in total, in one release, or in one step of time.

    A figure is null if there are no values. `last` is null except for gauges. Percentiles are null
    except for distributions; their error is at most 2.5 %.
    """

    name: str
    type: MetricType
    unit: str = Field(description="Empty where there is none.")
    release: str | None = Field(description="Null unless counted by release; may be empty.")
    at: datetime | None = Field(description="Where the step begins; null unless by time.")
    count: int = Field(description="How many values.")
    sum: float
    average: float | None
    least: float | None
    most: float | None
    last: float | None
    last_at: datetime | None
    p50: float | None
    p75: float | None
    p95: float | None
    p99: float | None


class CustomMetricsPage(ApiModel):
    """A page of metrics, by name, and their window: `since` is included, `until` is not."""

    metrics: list[CustomMetric]
    next: str | None
    total: int
    since: datetime
    until: datetime


class MetricsQuery(InsightQuery):
    """The metrics to count, and how to group them."""

    period: Annotated[
        Literal["hour", "day", "week", "month", "quarter"],
        Field(description="The last hour, 24 hours, 7 days or 90 days, and the step by time."),
    ] = "hour"
    by: Annotated[
        Literal["metric", "release", "time"],
        Field(description="`release` and `time` tell one metric apart: they need name and type."),
    ] = "metric"
    name: Name | None = None
    type: MetricType | None = None
    unit: Annotated[str, Field(max_length=40, description="Of its metric; may be empty.")] = ""
    release: Name | None = None
    environment: Name | None = None


@route("GET /api/metrics", access.reads)
def get_custom_metrics(query: MetricsQuery) -> CustomMetricsPage:
    """Return the custom metrics of a project."""
    _check(query)
    selection = query.select(MetricSelection)
    if query.by == "metric" and not query.unit:
        # Without the name of a metric, the empty unit means every unit.
        selection = replace(selection, unit=None)
    with current_store().read() as conn:
        shapes = _all if query.by == "metric" else _apart
        found, total = shapes(conn, query, selection)
    return CustomMetricsPage(metrics=found, **query.place(total, selection))


def _check(query: MetricsQuery) -> None:
    missing = [name for name in ("name", "type") if getattr(query, name) is None]
    if query.by != "metric" and missing:
        message = f"needed to tell a metric apart by {query.by}"
        raise FieldErrors([{"field": name, "message": message} for name in missing])


def _all(
    conn: Connection, query: MetricsQuery, selection: MetricSelection
) -> tuple[list[CustomMetric], int]:
    """Return a page of metrics, and how many metrics there are."""
    names = names_of(conn, selection)
    found = [
        _shape(line.metric, line.figures)
        for batch in in_batches(query.page(names), _AT_A_TIME)
        for line in lines_of(conn, selection, batch, query.step)
    ]
    return found, len(names)


def _apart(
    conn: Connection, query: MetricsQuery, selection: MetricSelection
) -> tuple[Sequence[CustomMetric], int]:
    """Return a page of a metric's releases or steps, and how many there are."""
    shapes = list(_parts(conn, query, selection))
    return query.page(shapes), len(shapes)


def _parts(
    conn: Connection, query: MetricsQuery, selection: MetricSelection
) -> Iterator[CustomMetric]:
    step = query.step
    detail = detail_of(conn, selection, step)
    metric = MetricName(selection.name or "", query.type or "", selection.unit or "")
    if query.by == "time":
        for number, figures in enumerate(detail.steps):
            yield _shape(metric, figures, at=selection.since + number * step)
        return
    for release, figures in sorted(detail.releases.items()):
        yield _shape(metric, figures, release=release)


def _shape(
    metric: MetricName,
    figures: MetricFigures,
    *,
    release: str | None = None,
    at: datetime | None = None,
) -> CustomMetric:
    shares = dict(zip(_PERCENTILES, figures.percentiles, strict=True))
    return CustomMetric.model_validate(
        {
            **metric._asdict(),
            **shares,
            "release": release,
            "at": at,
            "count": figures.count,
            "sum": figures.sum,
            "average": figures.average,
            "least": figures.least if figures.count else None,
            "most": figures.most if figures.count else None,
            "last": figures.last,
            "last_at": datetime.fromtimestamp(figures.last_at, UTC)
            if math.isfinite(figures.last_at)
            else None,
        }
    )
