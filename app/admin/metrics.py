"""Metrics: what a project counts and measures by the metrics API of its SDK.

One page for all metrics and for one of them: the address says which.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.choices import ProjectChoice
from app.admin.lookups import project_names
from app.admin.metric_charts import metric_charts, metric_sparkline
from app.admin.performance import first_line
from app.insights.metrics import (
    MetricName,
    MetricSelection,
    detail_of,
    has_any,
    lines_of,
    names_of,
    options_of,
)
from app.insights.performance import PERIODS, window_of
from app.projects import OWN_PROJECT_ID
from app.protocol.metrics import TYPES
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
# How many releases stand beside each other.
RELEASES = 10


class MetricsChoice(ProjectChoice):
    """What is looked at of metrics; ``name`` with ``type`` and ``unit`` is one of them."""

    defaults: ClassVar = {"project": str(OWN_PROJECT_ID), "period": "hour"}
    narrows_by: ClassVar = ("name", "type", "unit", "release", "environment")
    known: ClassVar = {"period": tuple(PERIODS), "type": TYPES}

    @property
    def metric(self) -> MetricName | None:
        """The metric that is looked at, ``None`` for all of them."""
        name, kind = self.of("name"), self.of("type")
        return MetricName(name, kind, self.of("unit")) if name and kind else None

    def selection(self, now: datetime) -> MetricSelection:
        """Return what the choice means to the store."""
        since, until = window_of(self.of("period"), now)
        narrowed = self.narrowing | (self.metric._asdict() if self.metric else {})
        return MetricSelection(self.project_id, since, until, **narrowed)


@bp.get("/metrics")
@access.admin
def list_of_metrics() -> ResponseReturnValue:
    """Show a project's metrics, or one of them over time and by release."""
    choice, now = MetricsChoice().read(request.args), utc_now()
    selection = choice.selection(now)
    with current_store().read() as conn:
        metric = choice.metric
        found = {
            **(_one(conn, choice, selection, metric) if metric else _all(conn, choice, selection)),
            "options": options_of(conn, selection.project_id, selection.since),
            "any_at_all": has_any(conn, selection.project_id),
            "projects": project_names(conn),
        }
    return render_template("metrics.html", choice=choice, periods=PERIODS, **found)


def _all(conn: Connection, choice: MetricsChoice, selection: MetricSelection) -> dict[str, Any]:
    """Return a page of metrics."""
    first, names = first_line(), names_of(conn, selection)
    shown = names[first : first + PAGE_SIZE]
    lines = lines_of(conn, selection, shown, PERIODS[choice.of("period")].step)
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
    """Return one metric with its charts."""
    step = PERIODS[choice.of("period")].step
    detail = detail_of(conn, selection, step)
    releases = sorted(detail.releases.items(), key=lambda one: (-one[1].count, one[0]))
    return {
        "metric": metric,
        "total": detail.total,
        "charts": metric_charts(metric, detail.steps, selection.since, step),
        "releases": releases[:RELEASES],
        "has_values": bool(detail.total.count),
    }
