"""The start page: what needs a person, the worst first, and what is forwarded to Sentry."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.alerts.tables import alert_channels
from app.delivery.accounting import check
from app.delivery.tables import counters
from app.events.tables import envelopes
from app.inputs.period import period_range
from app.insights.project_figures import overview_of_projects
from app.issues import triage
from app.issues.tables import issues, transitions
from app.projects import projects
from app.store import utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.delivery.shop import add_project
from tests.insights.stream import Request
from tests.questions import questions

pytestmark = pytest.mark.one_database
DAY = timedelta(days=1)
CHANNEL = {"kind": "webhook", "name": "#shop", "address": "https://127.0.0.1:9", "enabled": True}


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
    recent = page[page.index('id="recent-title"') :]
    assert "of a person" in recent and "of the demo" not in recent
    page = admin_client.get("/admin/?project=2").text
    assert "of the demo" in page[page.index('id="needs-title"') : page.index('id="recent-title"')]
    assert "of the demo" in page[page.index('id="recent-title"') :]


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


def serve(app: Flask, failed: int, requests: int, project_id: int = 1) -> None:
    for number in range(requests):
        request = Request("/pay", "1.0", 10.0, number < failed)
        envelope = request.envelope(uuid.uuid4().hex)
        parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)


def test_error_rate_is_that_of_the_range_and_says_how_it_changed(
    app: Flask, admin_client: FlaskClient
) -> None:
    now = utc_now()
    add_project(app, 2, None)
    add_project(app, 3, None)
    with parts_of(app).store.write() as conn:
        conn.execute(update(projects).where(projects.c.id == 3).values(is_demo=True))
    issue_of(app, "one")
    assert figures(admin_client.get("/admin/?project=2").text)["Error rate"] == "–"
    with time_machine.travel(now - timedelta(hours=30), tick=False):
        serve(app, 1, 10, 2)
    assert figures(admin_client.get("/admin/?project=2").text)["Error rate"] == "–"
    serve(app, 1, 4, 2)
    serve(app, 4, 4, 3)  # A demo is left out.
    page = admin_client.get("/admin/?project=2").text
    assert figures(page)["Error rate"] == "25.0%"
    assert "▲ 15.0" in page and "percentage points more than in the range before: 10.0%" in page
    with parts_of(app).store.read() as conn:
        chosen = period_range("day", utc_now())
        demo, everything = (overview_of_projects(conn, chosen, of).rate for of in (3, None))
    assert demo.share == 1.0 and everything.share < 0.3


def questions_of(app: Flask, client: FlaskClient, path: str) -> int:
    with questions() as asked:
        assert client.get(path).status_code == 200
        return len(asked)


@pytest.mark.parametrize("query", ["", "?period=week", "?period=quarter", "?period=all"])
def test_start_asks_at_most_twelve_questions_in_every_range(
    app: Flask, admin_client: FlaskClient, query: str
) -> None:
    add_project(app, 2, None)
    before = (utc_now() - timedelta(hours=30)).isoformat()
    for number in range(3):
        insert(app, {"message": "old", "level": "error", "timestamp": before, "user": {"id": "u"}})
        issue_of(app, f"{number}", "u"), issue_of(app, "old", "v")
    with parts_of(app).store.write() as conn:
        conn.execute(alert_channels.insert().values(CHANNEL | {"created_at": utc_now()}))
    assert questions_of(app, admin_client, f"/admin/{query}") <= 12
    ended = f"/admin/?start={(utc_now() - 20 * DAY):%Y-%m-%dT%H:%M}&end={utc_now():%Y-%m-%dT%H:%M}"
    assert questions_of(app, admin_client, ended) <= 12


# ---- the accounting -----------------------------------------------------------------------------


def accounted(client: FlaskClient) -> str:
    page = client.get("/admin/").text
    text = re.sub(r"<[^>]+>", " ", page[page.index('id="accounting-title"') :])
    return " ".join(unescape(text).split())


def test_start_reads_no_envelopes_to_say_that_all_is_accounted_for(
    app: Flask, admin_client: FlaskClient
) -> None:
    issue_of(app, "one")
    check(parts_of(app).store, utc_now())
    with questions() as asked:
        assert "All accounted for" in accounted(admin_client)
    assert not [one for one in asked if "GROUP BY envelopes.state" in one]


def test_start_says_when_the_envelopes_were_compared(app: Flask, admin_client: FlaskClient) -> None:
    issue_of(app, "one")
    page = accounted(admin_client)
    assert "All accounted for" not in page and "not compared with the envelopes yet" in page
    with time_machine.travel(utc_now() - timedelta(minutes=20), tick=False):
        check(parts_of(app).store, utc_now())
    page = accounted(admin_client)
    assert "All accounted for" not in page and "last compared with the envelopes 20 min ago" in page
    check(parts_of(app).store, utc_now())
    assert "All accounted for compared with the envelopes" in accounted(admin_client)


def test_start_says_that_an_envelope_is_missing(app: Flask, admin_client: FlaskClient) -> None:
    issue_of(app, "one")
    with parts_of(app).store.write() as conn:
        conn.execute(update(envelopes).values(state="nonsense"))
    assert not check(parts_of(app).store, utc_now())
    page = admin_client.get("/admin/").text
    assert "Not accounted for" in page and "The accounting does not add up" in page


def test_start_says_at_once_that_the_counters_do_not_add_up(
    app: Flask, admin_client: FlaskClient
) -> None:
    issue_of(app, "one")
    check(parts_of(app).store, utc_now())
    with parts_of(app).store.write() as conn:
        conn.execute(update(counters).where(counters.c.name == "accepted").values(value=9))
    assert "Not accounted for" in accounted(admin_client)


def test_start_takes_a_range_from_and_to(app: Flask, admin_client: FlaskClient) -> None:
    for days in (5, 9):
        at = (utc_now() - timedelta(days=days)).isoformat()
        insert(app, {"message": "late", "level": "error", "timestamp": at})
    first, last = (f"{utc_now() - timedelta(days=days):%Y-%m-%dT%H:%M}" for days in (6, 4))
    page = admin_client.get(f"/admin/?start={first}&end={last}").text
    assert figures(page)["Events"] == "1"
    assert f'name="start" value="{first}"' in page and f'name="end" value="{last}"' in page
