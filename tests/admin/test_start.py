"""The start page: what needs a person, the worst first, and what is forwarded to Sentry."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.issues import triage
from app.issues.tables import issues, transitions
from app.projects import projects
from app.store import utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.delivery.shop import add_project

pytestmark = pytest.mark.one_database
DAY = timedelta(days=1)


def needs(client: FlaskClient) -> list[tuple[str, str]]:
    """Return the kind and the text of each row of *Needs attention*."""
    page = client.get("/admin/").text
    rows = re.findall(r'<span class="state"[^>]*>(\w+)</span></span> <a[^>]*>([^<]+)</a>', page)
    # The tests have no channel, which is the last row.
    return [(kind, unescape(text)) for kind, text in rows if kind != "channel"]


def issue_of(app: Flask, message: str, user: str = "u") -> int:
    insert(app, {"message": message, "level": "error", "user": {"id": user}})
    with parts_of(app).store.read() as conn:
        return int(conn.execute(issues.select().where(issues.c.title == message)).one().id)


def change(app: Flask, issue_id: int, **values: object) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(update(issues).where(issues.c.id == issue_id).values(values))


def age(app: Flask) -> None:
    """Have every issue be older than the last visit."""
    with parts_of(app).store.write() as conn:
        conn.execute(update(issues).values(first_seen=utc_now() - 3 * DAY))


def test_nothing_that_needs_a_person_is_said(app: Flask, admin_client: FlaskClient) -> None:
    issue_of(app, "old")
    age(app)
    assert needs(admin_client) == []


def test_worst_comes_first_and_each_issue_once(app: Flask, admin_client: FlaskClient) -> None:
    for name in ("yours", "back", "regressed", "quiet"):
        issue_of(app, name)
    age(app)
    issue_of(app, "new one")
    yours, back = issue_of(app, "yours"), issue_of(app, "back")
    with parts_of(app).store.write() as conn:
        triage.assign(conn, [yours], "admin", "ann")
        triage.ignore(conn, [back], "ann")
    change(app, back, status="unresolved")
    with parts_of(app).store.write() as conn:
        conn.execute(transitions.insert().values(issue_id=back, at=utc_now(), kind="unignored"))
    change(app, issue_of(app, "regressed"), regressed=True)
    assert needs(admin_client) == [
        ("regressed", "regressed"),
        ("new", "new one"),
        ("yours", "yours"),
        ("back", "back"),
    ]


def test_issue_with_most_users_stands_for_the_others(app: Flask, admin_client: FlaskClient) -> None:
    issue_of(app, "few")
    for user in "abc":
        issue_of(app, "many", user)
    page = admin_client.get("/admin/").text
    assert needs(admin_client) == [("new", "many")]
    assert "3 events, 3 users" in page and "and 1 more new" in page


def test_issue_is_new_until_the_next_visit(app: Flask, admin_client: FlaskClient) -> None:
    now = utc_now()
    issue_of(app, "first")
    assert needs(admin_client) == [("new", "first")]
    # Another page of the same visit.
    assert needs(admin_client) == [("new", "first")]
    with time_machine.travel(now + timedelta(minutes=40), tick=False):
        assert needs(admin_client) == []
        issue_of(app, "second")
    with time_machine.travel(now + timedelta(minutes=90), tick=False):
        assert needs(admin_client) == [("new", "second")]


@pytest.mark.parametrize("marks", ["x", "1.2.3", "9" * 40, "²", "-5.7", "99999999999999.1"])
def test_wrong_cookie_of_the_last_visit_is_ignored(
    app: Flask, admin_client: FlaskClient, marks: str
) -> None:
    issue_of(app, "first")
    admin_client.set_cookie("visited", marks, path="/admin/")
    assert needs(admin_client) == [("new", "first")]


def test_start_of_a_project_has_only_its_issues_and_events(
    app: Flask, admin_client: FlaskClient
) -> None:
    add_project(app, 2, None)
    issue_of(app, "of the first")
    insert(app, {"message": "of the second", "level": "error"}, project_id=2)
    page = admin_client.get("/admin/?project=2").text
    main = page[page.index("<main") :]
    assert "of the second" in main and "of the first" not in main


def test_most_users_are_met_by_errors_alone(app: Flask, admin_client: FlaskClient) -> None:
    for user in "abcd":
        insert(app, {"message": "only a warning", "level": "warning", "user": {"id": user}})
    issue_of(app, "one"), issue_of(app, "two", "a"), issue_of(app, "two", "b")
    page = admin_client.get("/admin/").text
    most = page[page.index('id="most-title"') : page.index('id="recent-title"')]
    assert re.findall(r'class="target"[^>]*>([^<]+)<', most) == ["two", "one"]


def test_first_visit_offers_a_project_and_a_test_error(admin_client: FlaskClient) -> None:
    page = admin_client.get("/admin/").text
    assert "Set up your first project" in page and "Send a test error" in page
    assert "Accounting" not in page


def test_demo_is_outside_unless_it_is_asked_for(app: Flask, admin_client: FlaskClient) -> None:
    add_project(app, 2, None)
    with parts_of(app).store.write() as conn:
        conn.execute(update(projects).where(projects.c.id == 2).values(is_demo=True))
    issue_of(app, "of a person")
    insert(app, {"message": "of the demo", "level": "error", "user": {"id": "u"}}, project_id=2)
    assert needs(admin_client) == [("new", "of a person")]
    page = admin_client.get("/admin/").text
    most = page[page.index('id="most-title"') : page.index('id="recent-title"')]
    assert "of a person" in most and "of the demo" not in most
    page = admin_client.get("/admin/?project=2").text
    assert "of the demo" in page[page.index('id="needs-title"') : page.index('id="recent-title"')]


def figures(page: str) -> dict[str, str]:
    found = re.findall(r"<dt>([^<]+)</dt><dd>([^<]*?)\s*(?:<|$)", page)
    return {label: number for label, number in found}


def test_figures_and_errors_are_of_the_range_that_is_chosen(
    app: Flask, admin_client: FlaskClient
) -> None:
    long_ago = (utc_now() - 5 * DAY).isoformat()
    payload = {"message": "long ago", "level": "error", "user": {"id": "u"}}
    insert(app, payload | {"timestamp": long_ago})
    for user in "ab":
        issue_of(app, "today", user)
    page = admin_client.get("/admin/").text
    shown = figures(page)
    assert (shown["Events"], shown["New issues"]) == ("2", "1")
    most = page[page.index('id="most-title"') : page.index('id="recent-title"')]
    assert "today" in most and "long ago" not in most
    page = admin_client.get("/admin/?period=week").text
    assert figures(page)["Events"] == "3"
    most = page[page.index('id="most-title"') : page.index('id="recent-title"')]
    assert most.index("today") < most.index("long ago")
    # The range is carried to other pages, and remembered for this one.
    assert "/admin/events?period=week" in page
    assert figures(admin_client.get("/admin/").text)["Events"] == "3"


def test_figure_says_how_it_changed(app: Flask, admin_client: FlaskClient) -> None:
    for hours in (30, 31, 32, 33):
        at = (utc_now() - timedelta(hours=hours)).isoformat()
        insert(app, {"message": "late", "level": "error", "timestamp": at})
    issue_of(app, "late")
    page = admin_client.get("/admin/").text
    assert 'data-change="better"' in page and "▼ 75%" in page
    assert "fewer than in the range before: 4" in page


def test_demo_and_test_errors_are_in_no_figure(app: Flask, admin_client: FlaskClient) -> None:
    add_project(app, 2, None)
    with parts_of(app).store.write() as conn:
        conn.execute(update(projects).where(projects.c.id == 2).values(is_demo=True))
    insert(app, {"message": "of the demo", "level": "error"}, project_id=2)
    issue_of(app, "of a person")
    assert figures(admin_client.get("/admin/").text)["Events"] == "1"
