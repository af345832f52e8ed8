"""The start page: whether monitoring works, what needs a person, and what hurts most."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.attention import needs, open_issues, read_issues
from app.admin.header import header_of
from app.admin.last_project import shown_project
from app.admin.range_bar import range_bar, with_period
from app.admin.range_chart import range_chart
from app.admin.start_figures import figure_line, most_users
from app.admin.verdict import verdict
from app.admin.visit import last_visit, remember_visit
from app.alerts.reach import find_reach
from app.confirmation.reading import tallies
from app.delivery.accounting import STATES, last_checked, read_counters
from app.delivery.upstreams import Upstream, list_upstreams
from app.events.filter import EventFilter
from app.events.queries import newest_of_projects, page_of_events
from app.inputs.period import RangeFilter
from app.insights.project_figures import overview_of_projects
from app.insights.releases import newest_releases
from app.intake.refusals import refusals
from app.issues.tables import IssueStatus
from app.store import utc_now
from app.store.disks import fullest
from app.web import access
from app.web.current import current_config, current_destinations, current_intake, current_store
from app.web.last_backup import last_backup

# The newest events that are shown.
RECENT = 5
RANGE = ("period", "start", "end")
DEFAULT_PERIOD = "day"
# The counters are compared with the envelopes every minute. An older comparison says little.
CHECK_LASTS = timedelta(minutes=5)


class Term(NamedTuple):
    """One term of the equation of the accounting."""

    name: str
    envelopes: int


@bp.get("/")
@access.views
def start() -> ResponseReturnValue:
    """Show whether monitoring works, what needs a person, and what hurts most."""
    now, project_id, username = utc_now(), shown_project(), current_user.username
    since = last_visit(now)
    given = with_period(request.args, DEFAULT_PERIOD)
    form, _ = RangeFilter.read_leniently({name: given[name] for name in RANGE if given.get(name)})
    chosen = form.range_of(now, DEFAULT_PERIOD)
    with current_store().read() as conn:
        counted = read_counters(conn)
        ways = list_upstreams(conn, current_destinations(), now)
        asked = tallies(conn, [way.destination for way in ways], current_destinations(), now)
        recent = _recent(conn, ways, project_id)
        rows = read_issues(conn, username, since, project_id, {row.issue_id for row in recent})
        there = _open_of(rows, ways, project_id)
        reach = find_reach(conn, _watched(ways))
        refused = refusals(conn, now - timedelta(hours=24), counted)
        overview = overview_of_projects(conn, chosen, project_id)
        releases = newest_releases(conn, project_id)
        most = most_users(conn, there, chosen)
    totals, checked_at = last_checked(counted)
    config, set_aside = current_config(), current_intake().emergency.count()
    has_sentry = any(way.is_set_up for way in ways)
    page = render_template(
        "start.html",
        header=lambda: header_of(ways),
        verdict=verdict(totals, set_aside, ways, now, asked),
        needs=needs(
            open_issues(there, username, since),
            reach,
            fullest((config.DATA_DIR, config.emergency_dir)),
            refused,
        ),
        totals=totals,
        checked_at=checked_at,
        backup_at=last_backup(counted),
        is_checked=checked_at is not None and now - checked_at < CHECK_LASTS,
        terms=terms(totals, has_sentry=has_sentry),
        most=most,
        recent=recent,
        tests={row.id for row in rows if row.is_test},
        range_bar=range_bar(url_for("admin.start"), _kept(project_id, given), chosen),
        chart=range_chart(overview.series, releases),
        figures=figure_line(overview),
        projects={way.project_id: way.name for way in ways} if len(ways) > 1 else {},
    )
    response = make_response(page)
    remember_visit(response, now)
    return response


def _recent(conn: Connection, ways: list[Upstream], project_id: int | None) -> list[Row[Any]]:
    """Return the newest events; those of a demo only if it is chosen."""
    if project_id is None and any(way.is_demo for way in ways):
        real = [way.project_id for way in ways if not way.is_demo]
        return newest_of_projects(conn, real, RECENT)
    return page_of_events(conn, EventFilter(project_id=project_id), limit=RECENT).rows


def _watched(ways: list[Upstream]) -> dict[int, str]:
    """Return the names of the projects that alerts are about."""
    return {way.project_id: way.name for way in ways if not (way.is_demo or way.is_archived)}


def _open_of(rows: list[Row[Any]], ways: list[Upstream], project_id: int | None) -> list[Row[Any]]:
    """Return the open issues of a project, or of all that are of no demo; no test errors."""
    demos = {way.project_id for way in ways if way.is_demo}
    return [
        row
        for row in rows
        if row.status == IssueStatus.UNRESOLVED
        and not row.is_test
        and (row.project_id not in demos if project_id is None else row.project_id == project_id)
    ]


def _kept(project_id: int | None, given: dict[str, str]) -> dict[str, str]:
    """Return the parameters that links to other ranges keep."""
    return {} if project_id is None else {"project": given["project"]}


def terms(totals: dict[str, Any], *, has_sentry: bool) -> list[Term]:
    """Return the right side of the equation: all terms that are not 0, and the usual terms."""
    always = {"delivered", "pending"} if has_sentry else {"local"}
    counts = {state: totals[state] for state in STATES}
    counts["discarded"] = sum(totals["discarded"].values())
    return [Term(name, count) for name, count in counts.items() if count or name in always]
