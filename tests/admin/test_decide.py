"""Assigning issues and ignoring them until something, by the forms of the pages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.accounts.tables import users
from app.issues.tables import issues
from app.store import utc_now
from tests.conftest import csrf_token, parts_of


@pytest.fixture
def page(admin_client: FlaskClient) -> FlaskClient:
    for title in ("one", "two", "three"):
        sentry.capture_message(title)
    return admin_client


def post(client: FlaskClient, path: str, **data: Any) -> Any:
    data["csrf_token"] = csrf_token(client, "/admin/")
    return client.post(path, data=data, follow_redirects=True)


def ignore(client: FlaskClient, choice: str, **fields: Any) -> dict[str, Any]:
    answer = post(client, "/admin/issues/1/status", action=f"ignore_{choice}", **fields)
    assert answer.status_code == 200
    return dict(client.get("/api/issues/1").json)


def titles(text: str) -> list[str]:
    found = re.findall(r'class="target"[^>]*>(.*?)</a>', text)
    return [re.sub("<[^>]*>", "", title) for title in found]


def test_menu_has_every_choice_and_each_does_what_it_says(page: FlaskClient) -> None:
    text = page.get("/admin/issues/1").text
    for name in ("worse", "hour", "tomorrow", "week", "next", "events", "users"):
        assert f'value="ignore_{name}"' in text
    assert ignore(page, "worse")["ignore_until"] == {"worse": True}
    assert ignore(page, "next")["ignore_until"] == {"next_release": True}
    assert ignore(page, "events", more_events="5")["ignore_until"] == {"events": 5}
    found = ignore(page, "users", more_users="7", window_users="60", more_events="9")
    assert found["ignore_until"] == {"users": 7, "window_minutes": 60}
    assert (found["status"], found["ignored_by"]) == ("ignored", "admin")
    post(page, "/admin/issues/1/status", action="ignore")
    assert page.get("/api/issues/1").json["ignore_until"] is None


@pytest.mark.parametrize(
    ("choice", "least", "most"),
    [("hour", 0.99, 1), ("tomorrow", 9, 33), ("week", 167.9, 168)],
)
def test_times_are_counted_from_now(
    page: FlaskClient, choice: str, least: float, most: float
) -> None:
    before = utc_now()
    ignore(page, choice)
    with parts_of(page.application).store.read() as conn:
        until = conn.exec_driver_sql("SELECT ignore_until FROM issues WHERE id = 1").scalar()
    from app.issues.ignore_until import IgnoreUntil

    at = IgnoreUntil.model_validate_json(until).at
    assert at is not None
    assert timedelta(hours=least) <= at - before <= timedelta(hours=most, minutes=1)
    assert choice != "tomorrow" or f"{at:%H:%M}" == "09:00"


def test_morning_is_that_of_the_browser_and_said_in_its_zone(page: FlaskClient) -> None:
    at = (utc_now() + timedelta(hours=30)).replace(minute=0, second=0, microsecond=0)
    there = at.astimezone(timezone(timedelta(hours=13)))
    sent = {"action": "ignore_tomorrow", "morning": there.isoformat()}
    answer = post(page, "/admin/issues/1/status", **sent)
    assert f"is ignored until {there.day} {there:%b %H:%M} UTC+13:00." in answer.text
    assert page.get("/api/issues/1").json["ignore_until"] == {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    # Scripts replace the text of the badge by the time of the browser.
    badge = f'data-local="until">{at.day} {at:%b %H:%M} UTC</time>'
    assert badge in answer.text and badge in page.get("/admin/issues?status=ignored").text


def test_morning_is_that_of_the_zone_that_the_user_chose(app: Flask, page: FlaskClient) -> None:
    assert ">UTC</span>" in page.get("/admin/issues/1").text
    parts_of(app).accounts.choose("admin", time_zone="Pacific/Auckland", theme=None)
    for path in ("/admin/issues", "/admin/issues/1"):
        text = page.get(path).text
        assert ">Pacific/Auckland</span>" in text and "data-morning" not in text
    sent = {"action": "ignore_tomorrow", "morning": utc_now().isoformat()}
    post(page, "/admin/issues/1/status", **sent)
    text = page.get("/api/issues/1").json["ignore_until"]["at"]
    there = datetime.fromisoformat(text).astimezone(ZoneInfo("Pacific/Auckland"))
    today = utc_now().astimezone(ZoneInfo("Pacific/Auckland"))
    assert (there.date() - today.date()).days == 1 and f"{there:%H:%M}" == "09:00"


@pytest.mark.parametrize("morning", ["soon", "2001-01-01T09:00Z", "09:00"])
def test_morning_of_no_zone_is_refused(page: FlaskClient, morning: str) -> None:
    answer = post(page, "/admin/issues/1/status", action="ignore_tomorrow", morning=morning)
    assert answer.status_code == 400
    assert page.get("/api/issues/1").json["status"] == "unresolved"


@pytest.mark.parametrize("number", ["", "0", "-1", "many", "9999999999", "2000000"])
def test_number_out_of_bounds_changes_nothing(page: FlaskClient, number: str) -> None:
    answer = post(page, "/admin/issues/1/status", action="ignore_events", more_events=number)
    assert answer.status_code == 400
    assert page.get("/api/issues/1").json["status"] == "unresolved"


def test_badge_says_until_when_on_the_page_and_in_the_list(page: FlaskClient) -> None:
    ignore(page, "users", more_users="50")
    assert ">ignored until 50 more users</span>" in page.get("/admin/issues/1").text
    assert "until 50 more users" in page.get("/admin/issues?status=ignored").text
    ignore(page, "worse")
    text = page.get("/admin/issues?status=ignored").text
    assert "until it gets worse" in text and "50 more" not in text


def test_chosen_issues_are_ignored_until_and_said_so(page: FlaskClient) -> None:
    answer = post(
        page, "/admin/issues/change", action="ignore_events", ids=["1", "2"], more_events="3"
    )
    assert "Ignored 2 issues until 3 more events." in answer.text
    assert page.get("/api/issues/2").json["ignore_until"] == {"events": 3}


def test_too_many_users_are_said(app: Flask, page: FlaskClient) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(issues.update().values(users=10_000))
    answer = post(page, "/admin/issues/1/status", action="ignore_users", more_users="5")
    assert "It was not ignored." in answer.text
    assert page.get("/api/issues/1").json["status"] == "unresolved"


def test_issue_is_assigned_and_the_list_shows_to_whom(app: Flask, page: FlaskClient) -> None:
    with parts_of(app).store.write() as conn:
        row = {"username": "a<b", "session_key": "k", "created_at": utc_now()}
        conn.execute(users.insert().values(row))
    answer = post(page, "/admin/issues/2/assigned", assigned_to="a<b")
    assert "The issue is assigned to a&lt;b." in answer.text
    assert '<span class="visually-hidden">assigned to </span>a&lt;b' in answer.text
    text = page.get("/admin/issues/2?tab=history").text
    assert "<b>Assigned</b> by admin" in text and "to a&lt;b" in text
    text = page.get("/admin/issues").text
    assert '<span class="visually-hidden">assigned to </span>a&lt;b' in text
    post(page, "/admin/issues/1/assigned", assigned_to="admin")
    assert titles(page.get("/admin/issues?assigned=me").text) == ["one"]
    assert titles(page.get("/admin/issues?assigned=nobody").text) == ["three"]
    assert titles(page.get("/admin/issues?assigned=a%3Cb").text) == ["two"]
    post(page, "/admin/issues/2/assigned", assigned_to="")
    assert page.get("/api/issues/2").json["assigned_to"] is None


def test_unknown_user_or_issue_is_refused(page: FlaskClient) -> None:
    assert post(page, "/admin/issues/1/assigned", assigned_to="eve").status_code == 400
    assert post(page, "/admin/issues/99/assigned", assigned_to="admin").status_code == 404


def test_actions_on_all_that_match_keep_to_my_issues(page: FlaskClient) -> None:
    post(page, "/admin/issues/1/assigned", assigned_to="admin")
    data = {"action": "resolve", "scope": "matching", "highest": "99", "assigned": "me"}
    answer = post(page, "/admin/issues/change", **data)
    assert "Resolved 1 issue." in answer.text
    assert page.get("/api/issues/1").json["status"] == "resolved"


def test_issue_is_linked_to_a_tracker_and_shows_it(page: FlaskClient) -> None:
    url = "https://tracker.example.org/shop/17?a=1&b=2"
    answer = post(page, "/admin/issues/1/link", tracker_url=f" {url} ")
    assert "The issue is linked." in answer.text
    assert 'href="https://tracker.example.org/shop/17?a=1&amp;b=2"' in answer.text
    assert page.get("/api/issues/1").json["tracker_url"] == url
    assert "<b>Linked</b> by admin" in page.get("/admin/issues/1?tab=history").text
    post(page, "/admin/issues/1/link", tracker_url="")
    assert page.get("/api/issues/1").json["tracker_url"] is None
    assert post(page, "/admin/issues/99/link", tracker_url=url).status_code == 404


@pytest.mark.parametrize("url", ["http://a.example/1", "javascript:alert(1)", "https://u:p@a.b/1"])
def test_link_without_https_or_with_a_password_is_refused(page: FlaskClient, url: str) -> None:
    answer = post(page, "/admin/issues/1/link", tracker_url=url)
    assert "Nothing was linked." in answer.text
    assert page.get("/api/issues/1").json["tracker_url"] is None
    assert page.patch("/api/issues/1", json={"tracker_url": url}).status_code in (401, 422)
