"""AI calls: tokens, durations and failures of models, agents and tools, and the latest calls."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection

from app.admin.call_charts import token_chart
from app.admin.charts import charts
from app.admin.filter_bar import row_number
from app.admin.insight_page import InsightChoice, insight_page
from app.insights.ai_calls import (
    PERIODS,
    Selection,
    Sort,
    latest,
    over_time,
    ranked,
    survey,
    total_of,
)
from app.protocol.ai_call import MAX_CALLS

PAGE_SIZE = 50
# How many rows the tables of models and of operations have at most.
LINES = 50
SORTS: dict[Sort, str] = {
    "busiest": "Most calls first",
    "tokens": "Most tokens first",
    "slowest": "Slowest first",
    "failing": "Most failing first",
}


class CallChoice(InsightChoice):
    """The AI calls that the page shows, and the order of its tables."""

    defaults: ClassVar = {"period": "day", "sort": "busiest"}
    narrows_by: ClassVar = ("model", "operation", "release", "environment")
    periods: ClassVar = PERIODS
    sorts: ClassVar = SORTS


@insight_page("/ai-calls", "ai_calls.html", CallChoice, Selection)
def list_of_ai_calls(conn: Connection, choice: CallChoice, selection: Selection) -> dict[str, Any]:
    """Show a project's AI calls: figures over time, by model and operation, and the latest.

    The totals count calls of models, or calls of the chosen operation.
    """
    found, before = survey(conn, selection), row_number("before")
    rows = latest(conn, selection, before=before, limit=PAGE_SIZE + 1)
    steps = over_time(conn, selection.headline, choice.step)
    return {
        "total": total_of(found["operation" if selection.operation else "model"]),
        "models": ranked(found["model"], choice.sort)[:LINES],
        "operations": ranked(found["operation"], choice.sort)[:LINES],
        "charts": charts(steps, selection.since, choice.step, "call"),
        "tokens": token_chart(steps, selection.since, choice.step),
        "rows": rows[:PAGE_SIZE],
        "is_first": before is None,
        "older": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "max_calls": MAX_CALLS,
    }
