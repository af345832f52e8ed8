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
from app.traces import listing
from app.traces.listing import Chosen, list_transactions

PAGE_SIZE = 50
# How many releases the page compares, and how many issues and samples of a transaction it shows.
RELEASES, ISSUES, SAMPLES = 10, 10, 10
SORTS: dict[Sort, str] = {
    "slowest": "Slowest first",
    "failing": "Most failing first",
    "busiest": "Busiest first",
}
SAMPLE_SORTS: dict[listing.Sort, str] = {
    "slowest": "Slowest",
    "failing": "Failed",
    "newest": "Newest",
}


class PerformanceChoice(InsightChoice):
    """The requests that the page shows, and the order of the transactions."""

    defaults: ClassVar = {"period": "hour", "sort": "slowest", "samples": "slowest"}
    narrows_by: ClassVar = ("transaction", "release", "environment")
    sorts: ClassVar = SORTS
    known: ClassVar = {"samples": tuple(SAMPLE_SORTS)}


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
        "samples": _samples(conn, choice, selection),
        "sample_sorts": SAMPLE_SORTS,
        "sparklines": sparklines(hours_of(conn, [row.id for row in issues], utc_now())),
    }


def _issues(conn: Connection, choice: PerformanceChoice) -> list[Row[Any]]:
    """Return the open issues of the chosen transaction."""
    name = choice.of("transaction")
    if not name:
        return []
    chosen = IssueSelection(
        status="unresolved",
        project_id=choice.project_id,
        release=choice.values.get("release"),
        environment=choice.values.get("environment"),
        transactions=_names_of(choice),
    )
    return list_issues(conn, chosen, limit=ISSUES)


def _samples(conn: Connection, choice: PerformanceChoice, selection: Selection) -> list[Row[Any]]:
    """Return single transactions of the chosen one, which lead to their traces."""
    found: list[Row[Any]] = []
    sort: Any = choice.of("samples")
    for name in _names_of(choice) if selection.transaction else ():
        of_name = Chosen(
            project_id=choice.project_id,
            name=name,
            release=selection.release,
            environment=selection.environment,
            start=selection.since,
            end=selection.until,
        )
        found += list_transactions(conn, of_name, sort, limit=SAMPLES).rows
    by = "ms" if sort == "slowest" else "timestamp"
    return sorted(found, key=lambda row: getattr(row, by), reverse=True)[:SAMPLES]


def _names_of(choice: PerformanceChoice) -> tuple[str, ...]:
    """Return the names that events and traces have for the chosen transaction.

    A request of this application is counted by its route; its SDK names it by its endpoint.
    """
    name = choice.of("transaction")
    if choice.project_id != OWN_PROJECT_ID:
        return (name,)
    rules = current_app.url_map.iter_rules()
    return (name, *sorted({one.endpoint for one in rules if one.rule == name}))
