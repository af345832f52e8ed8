"""Performance: how fast a project answers, how often, how much fails; by transaction and release.

One page for all transactions and for one of them: the address says which.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.charts import charts
from app.admin.choices import ProjectChoice
from app.admin.lookups import project_names
from app.admin.sparkline import sparklines
from app.insights.performance import (
    PERIODS,
    Selection,
    Sort,
    has_any,
    options_of,
    over_time,
    ranked,
    survey,
    total_of,
    window_of,
)
from app.issues.filter import IssueSelection
from app.issues.queries import hours_of, list_issues
from app.projects import OWN_PROJECT_ID
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
# How many releases stand beside each other, and how many issues of one transaction.
RELEASES, ISSUES = 10, 10
SORTS: dict[Sort, str] = {
    "slowest": "Slowest first",
    "failing": "Most failing first",
    "busiest": "Busiest first",
}


class PerformanceChoice(ProjectChoice):
    """What is looked at of requests, and what comes first."""

    defaults: ClassVar = {"project": str(OWN_PROJECT_ID), "period": "hour", "sort": "slowest"}
    narrows_by: ClassVar = ("transaction", "release", "environment")
    known: ClassVar = {"period": tuple(PERIODS), "sort": tuple(SORTS)}

    @property
    def sort(self) -> Sort:
        """What comes first."""
        return next((sort for sort in SORTS if sort == self.of("sort")), "slowest")

    def selection(self, now: datetime) -> Selection:
        """Return what the choice means to the store."""
        since, until = window_of(self.of("period"), now)
        return Selection(self.project_id, since, until, **self.narrowing)


@bp.get("/performance")
@access.admin
def performance() -> ResponseReturnValue:
    """Show a project's requests over time, its transactions and releases."""
    choice, now = PerformanceChoice().read(request.args), utc_now()
    selection, step = choice.selection(now), PERIODS[choice.of("period")].step
    first = first_line()
    with current_store().read() as conn:
        found = _found(conn, choice, selection)
        issues = _issues(conn, choice)
        hours = hours_of(conn, [row.id for row in issues], now)
    lines = found.pop("lines")
    return render_template(
        "performance.html",
        choice=choice,
        periods=PERIODS,
        sorts=SORTS,
        minutes=(selection.until - selection.since).total_seconds() / 60,
        charts=charts(found.pop("steps"), selection.since, step),
        lines=lines[first : first + PAGE_SIZE],
        is_first=first == 0,
        after=first + PAGE_SIZE if len(lines) > first + PAGE_SIZE else None,
        is_own=choice.project_id == OWN_PROJECT_ID,
        issues=issues,
        sparklines=sparklines(hours),
        **found,
    )


def first_line() -> int:
    """Return the number of the line that a page of a list begins with."""
    text = request.args.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _found(conn: Connection, choice: PerformanceChoice, selection: Selection) -> dict[str, Any]:
    """Return what was counted; the transactions only where none is chosen."""
    found = survey(conn, selection)
    return {
        "lines": [] if selection.transaction else ranked(found["transaction"], choice.sort),
        "releases": ranked(found["release"], "busiest")[:RELEASES],
        "total": total_of(found["release"]),
        "steps": over_time(conn, selection, PERIODS[choice.of("period")].step),
        "options": options_of(conn, selection.project_id, selection.since),
        "any_at_all": has_any(conn, selection.project_id),
        "projects": project_names(conn),
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
    """Return what events call a route of this application: its endpoints."""
    rules = current_app.url_map.iter_rules()
    return (rule, *sorted({one.endpoint for one in rules if one.rule == rule}))
