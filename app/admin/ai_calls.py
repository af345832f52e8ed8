"""AI calls: what models, agents and tools took, how often they failed, and the latest calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.call_charts import token_chart
from app.admin.charts import charts
from app.admin.choices import ProjectChoice
from app.admin.filter_bar import row_number
from app.admin.lookups import project_names
from app.insights.ai_calls import (
    PERIODS,
    Selection,
    Sort,
    has_any,
    latest,
    options_of,
    over_time,
    ranked,
    survey,
    total_of,
)
from app.insights.performance import window_of
from app.projects import OWN_PROJECT_ID
from app.protocol.ai_call import MAX_CALLS
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
# How many models and operations stand in their tables.
LINES = 50
SORTS: dict[Sort, str] = {
    "busiest": "Most calls first",
    "tokens": "Most tokens first",
    "slowest": "Slowest first",
    "failing": "Most failing first",
}


class CallChoice(ProjectChoice):
    """What is looked at of AI calls, and what comes first."""

    defaults: ClassVar = {"project": str(OWN_PROJECT_ID), "period": "day", "sort": "busiest"}
    narrows_by: ClassVar = ("model", "operation", "release", "environment")
    known: ClassVar = {"period": tuple(PERIODS), "sort": tuple(SORTS)}

    @property
    def sort(self) -> Sort:
        """What comes first."""
        return next((sort for sort in SORTS if sort == self.of("sort")), "busiest")

    def selection(self, now: datetime) -> Selection:
        """Return what the choice means to the store."""
        since, until = window_of(self.of("period"), now, PERIODS)
        return Selection(self.project_id, since, until, **self.narrowing)


@bp.get("/ai-calls")
@access.admin
def list_of_ai_calls() -> ResponseReturnValue:
    """Show a project's AI calls: figures over time, by model and operation, and the latest."""
    choice, before = CallChoice().read(request.args), row_number("before")
    selection, step = choice.selection(utc_now()), PERIODS[choice.of("period")].step
    with current_store().read() as conn:
        found = _found(conn, choice, selection)
        rows = latest(conn, selection, before=before, limit=PAGE_SIZE + 1)
    steps = found.pop("steps")
    return render_template(
        "ai_calls.html",
        choice=choice,
        periods=PERIODS,
        sorts=SORTS,
        charts=charts(steps, selection.since, step, "call"),
        tokens=token_chart(steps, selection.since, step),
        rows=rows[:PAGE_SIZE],
        is_first=before is None,
        older=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        is_own=choice.project_id == OWN_PROJECT_ID,
        max_calls=MAX_CALLS,
        **found,
    )


def _found(conn: Connection, choice: CallChoice, selection: Selection) -> dict[str, Any]:
    """Return what was counted; the whole is that of models, or of the chosen operation."""
    found, of = survey(conn, selection), selection.headline
    lines = found["operation" if selection.operation else "model"]
    return {
        "total": total_of(lines),
        "models": ranked(found["model"], choice.sort)[:LINES],
        "operations": ranked(found["operation"], choice.sort)[:LINES],
        "steps": over_time(conn, of, PERIODS[choice.of("period")].step),
        "options": options_of(conn, selection.project_id, selection.since),
        "any_at_all": has_any(conn, selection.project_id),
        "projects": project_names(conn),
    }
