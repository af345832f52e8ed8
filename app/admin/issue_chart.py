"""The chart above the list of issues: the events of the project and environment in the range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import current_app
from markupsafe import Markup
from sqlalchemy import Connection

from app.admin.list_facts import ListFacts
from app.admin.range_chart import range_chart
from app.admin.remembered import Remembered
from app.inputs.period import Range
from app.insights.project_figures import events_of_projects
from app.search.grammar import Query, Term
from app.stats.windows import window_of

# About 50 charts.
_charts = Remembered(1_000_000)


def issue_chart(
    conn: Connection,
    range: Range,
    scope: tuple[int | None, str | None],
    facts: ListFacts,
    projects: Iterable[int],
) -> Markup:
    """Return the chart as HTML. It is remembered until the store has another event.

    :param scope: the project and the environment; ``None`` stands for all.
    :param projects: the ids of all projects.
    """
    window = window_of(range, step_s=range.step_s)
    key = (conn.engine.url, facts.newest, facts.oldest, facts.counted, window, scope, *projects)
    html = _charts.get(key)
    if html is None:
        series = events_of_projects(conn, range, *scope)
        is_empty = not any(point.events for point in series.points) and not any(series.before)
        drawn: Any = current_app.jinja_env.get_template("_charts.html").module
        html = "" if is_empty else str(drawn.range_chart(range_chart(series)))
        _charts.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes


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
