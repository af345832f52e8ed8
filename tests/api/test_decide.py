"""Assigning and ignoring issues through the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from app import sentry
from app.accounts.tables import users
from app.issues.tables import issues
from app.store import utc_now
from tests.conftest import ADMIN_PASSWORD, API_TOKEN, parts_of


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    add_users(app, "ada", "bob")
    for title in ("one", "two", "three"):
        sentry.capture_message(title)
    return app.test_client()


def add_users(app: Flask, *names: str) -> None:
    rows = [{"username": name, "session_key": "k", "created_at": utc_now()} for name in names]
    with parts_of(app).store.write() as conn:
        conn.execute(users.insert(), rows)


def patch(client: FlaskClient, issue_id: int = 1, **body: Any) -> dict[str, Any]:
    answer = client.patch(f"/api/issues/{issue_id}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def wrong_fields(client: FlaskClient, **body: Any) -> list[str]:
    answer = client.patch("/api/issues/1", json=body)
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json["errors"]]


def history(client: FlaskClient, issue_id: int = 1) -> list[tuple[str, str | None, str | None]]:
    rows = client.get(f"/api/issues/{issue_id}/transitions").json["transitions"]
    return [(row["kind"], row["actor"], row["note"]) for row in rows][:-1][::-1]


def titles(client: FlaskClient, assigned: str) -> list[str]:
    answer = client.get("/api/issues", query_string={"assigned": assigned})
    assert answer.status_code == 200, answer.text
    found = [issue["title"] for issue in answer.json["issues"]]
    assert answer.json["total"] == len(found)
    return found


# ---- assign -------------------------------------------------------------------------------------


def test_issue_is_assigned_and_its_history_says_to_whom(client: FlaskClient) -> None:
    assert patch(client, assigned_to="ada")["assigned_to"] == "ada"
    patch(client, assigned_to="ada")  # changes nothing
    patch(client, assigned_to="bob")
    assert patch(client, assigned_to=None)["assigned_to"] is None
    notes = ["to ada", "to bob", "to nobody"]
    assert history(client) == [("assigned", "loopback", note) for note in notes]
    assert client.get("/api/issues/1").json["status"] == "unresolved"


def test_unknown_user_is_refused_by_name_of_the_field(client: FlaskClient) -> None:
    assert wrong_fields(client, assigned_to="nobody I know") == ["assigned_to"]
    assert wrong_fields(client, assigned_to=7) == ["assigned_to"]
    assert wrong_fields(client, assigned_to="") == ["assigned_to"]
    assert client.get("/api/issues/1").json["assigned_to"] is None


def test_configured_admin_can_be_assigned_before_the_first_login(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(ADMIN_PASSWORD=ADMIN_PASSWORD).test_client()
    sentry.capture_message("one")
    assert patch(client, assigned_to="admin")["assigned_to"] == "admin"


def test_list_is_narrowed_to_what_is_assigned(client: FlaskClient) -> None:
    patch(client, 1, assigned_to="ada")
    patch(client, 2, assigned_to="bob")
    patch(client, 2, status="resolved")
    assert titles(client, "ada") == ["one"]
    assert titles(client, "bob") == ["two"]
    assert titles(client, "nobody") == ["three"]
    assert titles(client, "eve") == []


@pytest.mark.parametrize("sort", ["last_seen", "times_seen"])
def test_user_with_many_issues_has_pages_without_gaps(
    app: Flask, client: FlaskClient, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        sentry.capture_message("issue " + "abcdefghijkl"[number])
    with parts_of(app).store.write() as conn:
        conn.execute(issues.update().where(issues.c.id > 3).values(assigned_to="ada"))
        conn.execute(issues.update().where(issues.c.id % 2 == 0).values(status="ignored"))
    for scanned in (20_000, 5):
        monkeypatch.setattr("app.store.paging.SCAN_ROWS", scanned)
        found, cursor = [], None
        while True:
            query = {"assigned": "ada", "sort": sort, "limit": 4, "project_id": 1}
            query |= {"cursor": cursor} if cursor else {}
            page = client.get("/api/issues", query_string=query).json
            found += [issue["id"] for issue in page["issues"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert sorted(found) == list(range(4, 16)), scanned


def test_me_is_the_user_who_is_logged_in(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    patch(client, 2, assigned_to="admin")
    assert titles(admin_client, "me") == ["two"]
    answer = app.test_client().get("/api/issues?assigned=me")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "assigned"


def test_deleted_user_leaves_issues_unassigned(app: Flask, client: FlaskClient) -> None:
    patch(client, assigned_to="ada")
    with parts_of(app).store.write() as conn:
        conn.execute(delete(users).where(users.c.username == "ada"))
    assert client.get("/api/issues/1").json["assigned_to"] is None


def test_many_issues_are_assigned_and_ignored_at_once(client: FlaskClient) -> None:
    body = {"ids": [1, 2, 99], "assigned_to": "ada", "status": "ignored"}
    answer = client.patch("/api/issues", json={**body, "ignore_until": {"events": 5}})
    assert answer.json == {"changed": [1, 2]}
    found = client.get("/api/issues/2").json
    assert (found["assigned_to"], found["ignore_until"]) == ("ada", {"events": 5})
    where = {"where": {"assigned": "ada"}, "status": "unresolved"}
    assert client.patch("/api/issues", json=where).json == {"changed": [1, 2]}
    answer = client.patch("/api/issues", json={"where": {"assigned": "me"}, "assigned_to": None})
    assert answer.status_code == 422


# ---- ignore -------------------------------------------------------------------------------------


def test_every_condition_is_answered_as_it_was_given(client: FlaskClient) -> None:
    at = (utc_now() + timedelta(hours=2)).replace(microsecond=0).isoformat()
    for until, words in [
        ({"at": at.replace("+00:00", "Z")}, None),
        ({"events": 50}, "until 50 more events"),
        ({"events": 5, "window_minutes": 60}, "until 5 events within an hour"),
        ({"users": 2}, "until 2 more users"),
        ({"users": 2, "window_minutes": 1}, "until 2 users within a minute"),
        ({"worse": True}, "until it gets worse"),
        ({"next_release": True}, "until the next release"),
        (None, None),
    ]:
        found = patch(client, status="ignored", ignore_until=until)
        assert found["ignore_until"] == until
        assert (found["status"], found["ignored_by"]) == ("ignored", "loopback")
        assert found["ignored_at"] is not None
        kind, actor, note = history(client)[-1]
        assert (kind, actor) == ("ignored", "loopback")
        assert note == words or (until and "at" in until)
    found = patch(client, status="unresolved")
    assert [found[name] for name in ("ignore_until", "ignored_by", "ignored_at")] == [None] * 3


def test_ignored_without_a_condition_stays_as_before(client: FlaskClient) -> None:
    found = patch(client, status="ignored")
    assert found["ignore_until"] is None
    assert history(client) == [("ignored", "loopback", None)]
    patch(client, status="ignored")
    assert len(history(client)) == 1


@pytest.mark.parametrize(
    ("until", "field"),
    [
        ({}, "ignore_until"),
        ({"events": 5, "users": 5}, "ignore_until"),
        ({"worse": True, "window_minutes": 5}, "ignore_until"),
        ({"window_minutes": 5}, "ignore_until"),
        ({"events": 0}, "ignore_until.events"),
        ({"events": "5"}, "ignore_until.events"),
        ({"users": 10_001}, "ignore_until.users"),
        ({"users": 5, "window_minutes": 0}, "ignore_until.window_minutes"),
        ({"worse": False}, "ignore_until.worse"),
        ({"at": "2020-01-01T00:00:00Z"}, "ignore_until.at"),
        ({"at": "2099-01-01T00:00:00"}, "ignore_until.at"),
        ({"at": 4070908800}, "ignore_until.at"),
        ({"at": "soon"}, "ignore_until.at"),
        ({"days": 5}, "ignore_until.days"),
        (5, "ignore_until"),
    ],
)
def test_wrong_condition_names_its_field(client: FlaskClient, until: Any, field: str) -> None:
    assert wrong_fields(client, status="ignored", ignore_until=until) == [field]


def test_condition_needs_the_status_and_a_patch_needs_a_change(client: FlaskClient) -> None:
    assert wrong_fields(client, ignore_until={"events": 5}) == ["body"]
    assert wrong_fields(client, status="resolved", ignore_until={"events": 5}) == ["body"]
    assert wrong_fields(client) == ["status"]
    assert wrong_fields(client, status=None) == ["status"]


def test_too_many_users_to_count_are_refused(app: Flask, client: FlaskClient) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(issues.update().where(issues.c.id == 1).values(users=9_999))
    fields = wrong_fields(client, status="ignored", ignore_until={"users": 2})
    assert fields == ["ignore_until.users"]
    patch(client, status="ignored", ignore_until={"users": 1})


def test_token_is_named_as_the_one_who_ignored(make_app: Callable[..., Flask]) -> None:
    client = make_app(API_TOKEN=API_TOKEN).test_client()
    sentry.capture_message("one")
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = client.patch("/api/issues/1", json={"status": "ignored"}, headers=headers)
    assert answer.json["ignored_by"] == "token:API_TOKEN"
