"""Releases: first seen, issues and session health of each; and the page of a release."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.charts import user_bars
from app.admin.filter_bar import row_number
from app.admin.header import header_from
from app.admin.insight_page import DEFAULT_PERIOD, InsightChoice
from app.admin.last_project import last_project, look_at
from app.admin.lookups import project_names, recent_values
from app.admin.range_bar import RangeBar, range_bar, with_period
from app.admin.sparkline import sparklines
from app.insights.reading import PERIODS, options_of
from app.insights.releases import (
    HEALTH_OF,
    figures_of,
    find_release,
    list_releases,
    subject_of,
    users_of_days,
)
from app.issues.by_release import What, issues_of_release
from app.issues.figures import hours_of
from app.protocol.event import clean_text
from app.stats.timings import PERFORMANCE
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

PAGE_SIZE = 50
# How many issues of each section the page of a release shows.
ISSUES = 10
UNKNOWN = "no release has this id; only so many are kept of each project"
SECTIONS: dict[What, str] = {
    "new": "New issues",
    "regressed": "Regressed issues",
    "resolved": "Resolved issues",
}


class ReleaseChoice(InsightChoice):
    """The project whose releases are shown; the range and environment of the counted sessions."""

    defaults: ClassVar = {"period": "hour"}
    narrows_by: ClassVar = ("environment",)

    @property
    def environment(self) -> str | None:
        """The chosen environment; ``None`` for all."""
        return self.values.get("environment")

    @property
    def range_bar(self) -> RangeBar:
        """The range selector."""
        return range_bar(request.path, self.values, self.range, PERIODS)


@bp.get("/releases")
@access.views
def list_of_releases() -> ResponseReturnValue:
    """Show a page of releases; ``?version=`` redirects to that release."""
    now, before = utc_now(), row_number("before")
    with current_store().read() as conn:
        header = header_from(conn)
        projects = dict(header.projects)
        choice = _choice(last_project(conn, projects))
        look_at(choice.project_id)
        if version := clean_text(request.args.get("version", ""))[:250]:
            for row in list_releases(conn, choice.project_id, version=version, limit=1):
                return redirect(url_for("admin.show_release", release_id=row.id))
        rows = list_releases(conn, choice.project_id, before=before, limit=PAGE_SIZE + 1)
        page = rows[:PAGE_SIZE]
        context = {
            "figures": figures_of(conn, page, now, choice.environment, choice.window(now)),
            "environments": _environments(conn, choice.project_id, now),
            "projects": projects,
        }
    if version:
        flash(f"Of the release “{version}” nothing is kept.", "warning")
    return render_template(
        "releases.html",
        header=lambda: header,
        choice=choice,
        is_first=before is None,
        older=page[-1].id if len(rows) > PAGE_SIZE else None,
        **context,
    )


@bp.get("/releases/<int:release_id>")
@access.views
def show_release(release_id: int) -> ResponseReturnValue:
    """Show a release.

    :raise 404: no release has this id.
    """
    now = utc_now()
    with current_store().read() as conn:
        row = or_404(find_release(conn, release_id), UNKNOWN)
        look_at(row.project_id)
        choice = _choice(row.project_id)
        (release,) = figures_of(conn, [row], now, choice.environment, choice.window(now))
        found = {
            what: issues_of_release(conn, row.project_id, row.version, what, ISSUES)
            for what in SECTIONS
        }
        context = {
            "days": user_bars(users_of_days(conn, subject_of(row), now)),
            "sparklines": sparklines(hours_of(conn, _ids(found), now)),
            "environments": _environments(conn, row.project_id, now),
            "projects": project_names(conn),
        }
    return render_template(
        "release.html",
        one=release,
        row=row,
        choice=choice,
        sections=SECTIONS,
        found=found,
        **context,
    )


def _choice(project_id: int) -> ReleaseChoice:
    given = with_period(request.args, DEFAULT_PERIOD, PERIODS)
    return ReleaseChoice(project_id).read(given)


def _environments(conn: Connection, project_id: int, now: datetime) -> list[str]:
    known = {*options_of(PERFORMANCE, conn, project_id, now - HEALTH_OF)["environment"]}
    return sorted(known | {*recent_values(conn)["environment"]})


def _ids(found: dict[What, list[Row[Any]]]) -> list[int]:
    return sorted({issue.id for issues in found.values() for issue in issues})
