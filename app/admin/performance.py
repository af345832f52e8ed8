"""Performance: durations, throughput and failures of a project, by transaction and release.

The same page shows all transactions or one transaction; the address decides.
"""

from __future__ import annotations

from typing import Any, ClassVar

from flask import current_app
from sqlalchemy import Connection, Row

from app.admin.charts import charts
from app.admin.insight_page import InsightChoice, first_line, insight_page
from app.admin.sparkline import sparklines
from app.insights.performance import (
    Selection,
    Sort,
    over_time,
    ranked,
    survey,
    total_of,
)
from app.issues.figures import hours_of
from app.issues.filter import IssueSelection
from app.issues.queries import list_issues
from app.projects import OWN_PROJECT_ID
from app.store import utc_now

PAGE_SIZE = 50
# How many releases the page compares, and how many issues of a transaction it shows.
RELEASES, ISSUES = 10, 10
SORTS: dict[Sort, str] = {
    "slowest": "Slowest first",
    "failing": "Most failing first",
    "busiest": "Busiest first",
}


class PerformanceChoice(InsightChoice):
    """The requests that the page shows, and the order of the transactions."""

    defaults: ClassVar = {"period": "hour", "sort": "slowest"}
    narrows_by: ClassVar = ("transaction", "release", "environment")
    sorts: ClassVar = SORTS


@insight_page("/performance", "performance.html", PerformanceChoice, Selection)
def performance(
    conn: Connection, choice: PerformanceChoice, selection: Selection
) -> dict[str, Any]:
    """Show requests over time and by release, and the transactions if none is chosen."""
    found, first = survey(conn, selection), first_line()
    lines = [] if selection.transaction else ranked(found["transaction"], choice.sort)
    issues = _issues(conn, choice)
    return {
        "minutes": (selection.until - selection.since).total_seconds() / 60,
        "charts": charts(over_time(conn, selection, choice.step), selection.since, choice.step),
        "total": total_of(found["release"]),
        "releases": ranked(found["release"], "busiest")[:RELEASES],
        "lines": lines[first : first + PAGE_SIZE],
        "is_first": first == 0,
        "after": first + PAGE_SIZE if len(lines) > first + PAGE_SIZE else None,
        "issues": issues,
        "sparklines": sparklines(hours_of(conn, [row.id for row in issues], utc_now())),
    }


def _issues(conn: Connection, choice: PerformanceChoice) -> list[Row[Any]]:
    """Return the open issues of the chosen transaction."""
    name = choice.of("transaction")
    if not name:
        return []
    names = _names_of(name) if choice.project_id == OWN_PROJECT_ID else (name,)
    chosen = IssueSelection(
        status="unresolved",
        project_id=choice.project_id,
        release=choice.values.get("release"),
        environment=choice.values.get("environment"),
        transactions=names,
    )
    return list_issues(conn, chosen, limit=ISSUES)


def _names_of(rule: str) -> tuple[str, ...]:
    """Return the names that events of this application have for a route: itself, its endpoints."""
    rules = current_app.url_map.iter_rules()
    return (rule, *sorted({one.endpoint for one in rules if one.rule == rule}))
