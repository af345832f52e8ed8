"""The start page: whether monitoring works, what needs a person, and what hurts most."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from flask import make_response, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.attention import needs, of_project, read_open
from app.admin.header import Header, badge
from app.admin.lookups import test_issues
from app.admin.navigation import project_in_address
from app.admin.sparkline import sparklines
from app.admin.verdict import verdict
from app.admin.visit import last_visit, remember_visit
from app.alerts.reach import find_reach
from app.delivery.accounting import STATES, accounting
from app.delivery.upstreams import Upstream, list_upstreams
from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.intake.refusals import refusals
from app.issues.filter import IssueFilter
from app.issues.queries import hours_of, list_issues
from app.issues.tables import issues
from app.store import utc_now
from app.store.disks import fullest
from app.web import access
from app.web.current import current_config, current_destinations, current_intake, current_store

# Issues with most users, and newest events.
MOST, RECENT = 8, 5
SEVERE = ("error", "fatal")


class Term(NamedTuple):
    """One term of the equation of the accounting."""

    name: str
    envelopes: int


@bp.get("/")
@access.admin
def start() -> ResponseReturnValue:
    """Show whether monitoring works, what needs a person, and what hurts most."""
    now, project_id = utc_now(), project_in_address()
    with current_store().read() as conn:
        recent = page_of_events(conn, EventFilter(project_id=project_id), limit=RECENT).rows
        totals = accounting(conn)
        ways = list_upstreams(conn, current_destinations(), now)
        found = read_open(conn, current_user.username, last_visit(now), project_id)
        reach, refused = find_reach(conn), refusals(conn, now - timedelta(hours=24))
        most = _most_users(conn, project_id)
        tests = test_issues(conn, {row.issue_id for row in recent})
        hours = hours_of(conn, [issue.id for issue in most], now)
    config, set_aside = current_config(), current_intake().emergency.count()
    disk = fullest((config.DATA_DIR, config.emergency_dir))
    page = render_template(
        "start.html",
        header=lambda: _header(ways),
        verdict=verdict(totals, set_aside, ways, now),
        has_sentry=any(way.is_set_up for way in ways),
        needs=needs(found, reach, disk, refused),
        totals=totals,
        terms=terms(totals, has_sentry=any(way.is_set_up for way in ways)),
        most=most,
        recent=recent,
        tests=tests,
        sparklines=sparklines(hours),
        projects={way.project_id: way.name for way in ways} if len(ways) > 1 else {},
    )
    response = make_response(page)
    remember_visit(response, now)
    return response


def _header(ways: list[Upstream]) -> Header:
    """Return the header without reading the store again."""
    used = [way.destination for way in ways if way.is_set_up or way.is_held_up]
    names = {way.project_id: way.name for way in ways}
    return Header(badge(used, names, utc_now()), names)


def _most_users(conn: Connection, project_id: int | None) -> list[Row[Any]]:
    """Return the open issues of level error and above that most users met."""
    severe = issues.c.level.in_(SEVERE), issues.c.is_test.is_(False), of_project(project_id)
    chosen = IssueFilter().selection(status="unresolved", project_id=project_id, conditions=severe)
    return list_issues(conn, chosen, sort="users", limit=MOST)


def terms(totals: dict[str, Any], *, has_sentry: bool) -> list[Term]:
    """Return the right side of the equation: all terms that are not 0, and the usual terms."""
    always = {"delivered", "pending"} if has_sentry else {"local"}
    counts = {state: totals[state] for state in STATES}
    counts["discarded"] = sum(totals["discarded"].values())
    return [Term(name, count) for name, count in counts.items() if count or name in always]
