"""Metrics: the custom metrics that a project sends with the metrics API of its SDK.

The same page shows all metrics or one metric; the address decides.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection

from app.admin.insight_page import InsightChoice, first_line, insight_page
from app.admin.metric_charts import metric_charts, metric_sparkline
from app.insights.metrics import (
    MetricName,
    MetricSelection,
    detail_of,
    lines_of,
    names_of,
)
from app.protocol.metrics import TYPES

PAGE_SIZE = 50
# How many releases the page of a metric compares.
RELEASES = 10


class MetricsChoice(InsightChoice):
    """The metrics that the page shows; ``name``, ``type`` and ``unit`` together name one metric."""

    defaults: ClassVar = {"period": "hour"}
    narrows_by: ClassVar = ("name", "type", "unit", "release", "environment")
    known: ClassVar = {"type": TYPES}

    @property
    def metric(self) -> MetricName | None:
        """The chosen metric; ``None`` for all metrics."""
        name, kind = self.of("name"), self.of("type")
        return MetricName(name, kind, self.of("unit")) if name and kind else None

    @property
    def narrowing(self) -> dict[str, str]:
        """The values that leave rows out; for one metric also an empty unit."""
        return super().narrowing | (self.metric._asdict() if self.metric else {})


@insight_page("/metrics", "metrics.html", MetricsChoice, MetricSelection)
def list_of_metrics(
    conn: Connection, choice: MetricsChoice, selection: MetricSelection
) -> dict[str, Any]:
    """Show a project's metrics, or one metric over time and by release."""
    if choice.metric:
        return _one(conn, choice, selection, choice.metric)
    return _all(conn, choice, selection)


def _all(conn: Connection, choice: MetricsChoice, selection: MetricSelection) -> dict[str, Any]:
    """Return a page of metrics."""
    first, names = first_line(), names_of(conn, selection)
    lines = lines_of(conn, selection, names[first : first + PAGE_SIZE], choice.step)
    return {
        "metric": None,
        "lines": [(line, metric_sparkline(line)) for line in lines],
        "is_first": first == 0,
        "after": first + PAGE_SIZE if len(names) > first + PAGE_SIZE else None,
        "has_values": bool(names),
    }


def _one(
    conn: Connection, choice: MetricsChoice, selection: MetricSelection, metric: MetricName
) -> dict[str, Any]:
    """Return a metric with its charts."""
    detail = detail_of(conn, selection, choice.step)
    releases = sorted(detail.releases.items(), key=lambda one: (-one[1].count, one[0]))
    return {
        "metric": metric,
        "total": detail.total,
        "charts": metric_charts(metric, detail.steps, selection.since, choice.step),
        "releases": releases[:RELEASES],
        "has_values": bool(detail.total.count),
    }
