"""Costs: by month, how many events a project had, how many were sent to Sentry, and what spared
the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.choices import ProjectChoice
from app.admin.last_project import last_project, look_at
from app.admin.lookups import project_names
from app.insights.costs import (
    CATEGORIES,
    REASONS,
    Category,
    months_of,
    projects_in_month,
    this_month,
)
from app.store import utc_now
from app.web import access
from app.web.current import current_store

LABELS = {"error": "Errors and messages", "transaction": "Transactions"}


class CostChoice(ProjectChoice):
    """The events that the page counts."""

    defaults: ClassVar = {"category": "error"}
    narrows_by: ClassVar = ()
    known: ClassVar = {"category": CATEGORIES}

    @property
    def category(self) -> Category:
        """The category of the events."""
        return next(one for one in CATEGORIES if one == self.of("category"))


@bp.get("/costs")
@access.views
def show_costs() -> ResponseReturnValue:
    """Show the months of a project, and the running month of every project."""
    now = utc_now()
    with current_store().read() as conn:
        projects = project_names(conn)
        choice = CostChoice(last_project(conn, projects)).read(request.args)
        look_at(choice.project_id)
        category = choice.category
        months = months_of(conn, choice.project_id, category, now)
        by_project = projects_in_month(conn, category, this_month(now))
    return render_template(
        "costs.html",
        choice=choice,
        projects=projects,
        labels=LABELS,
        months=months,
        by_project=by_project,
        month=this_month(now),
        spared_by=_reasons(one.spared for one in (*months, *by_project.values())),
        refused_by=_reasons(one.refused for one in (*months, *by_project.values())),
        words=REASONS,
    )


def _reasons(found: Iterable[dict[str, int]]) -> list[str]:
    """Return the reasons of some months, those with words first."""
    reasons = {reason for one in found for reason in one}
    return [*(name for name in REASONS if name in reasons), *sorted(reasons - REASONS.keys())]
