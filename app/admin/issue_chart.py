"""The chart above the list of issues: the events of the project and environment in the range."""

from __future__ import annotations

from typing import Any

from flask import current_app
from markupsafe import Markup
from sqlalchemy import Connection

from app.admin.range_chart import range_chart
from app.inputs.period import Range
from app.insights.project_figures import events_of_projects
from app.search.grammar import Query, Term


def issue_chart(
    conn: Connection, range: Range, project_id: int | None, environment: str | None
) -> Markup:
    """Return the chart as HTML."""
    series = events_of_projects(conn, range, project_id, environment)
    drawn: Any = current_app.jinja_env.get_template("_charts.html").module
    return Markup(drawn.range_chart(range_chart(series)))  # noqa: S704 -- a template of ours


def environment_of(query: Query) -> str | None:
    """Return the environment that a query names; ``None`` unless it is exactly one."""
    found = [term for term in query.terms if term.key == "environment"]
    return found[0].values[0].text if len(found) == 1 and _is_one(found[0]) else None


def words_about(query: Query, environment: str | None) -> str:
    """Return a sentence that says what the query leaves alone; empty if there is no such term."""
    others = [term for term in query.terms if term.key not in ("project", "is", "environment")]
    if environment is not None:
        return f"The chart is of {environment}; the figures of an issue are of all environments."
    if not others and not any(term.key == "environment" for term in query.terms):
        return ""
    return "Figures are of the project and range; the query only chooses issues."


def _is_one(term: Term) -> bool:
    return not term.is_negated and len(term.values) == 1 and not term.values[0].has_wildcard
