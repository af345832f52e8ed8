"""Remembered fixes: marked by a person, shown by similar issues and in alerts about new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.alerts import queries
from app.alerts.channels.kind import KINDS, UrlChannel
from app.issues.similarity_index import read_unread
from app.issues.tables import remembered_fixes
from app.projects import create_project
from tests.admin.hostile import insert
from tests.alert_steps import add_rule, add_webhook, evaluate, only, sendings
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import Payload, calls, error, py
from tests.mcp.steps import bearer, call

NOTE = "The provider's *key* had expired.\nRenew it in the vault."
HOSTILE = "<!channel> <script>alert(1)</script> @everyone [x](https://evil.example) *b*"


def price(number: int = 1, **more: Any) -> Payload:
    return calls("total", type="KeyError", value=f"no price for order {number}") | more


@pytest.fixture
def issue_of(app: Flask) -> Callable[..., int]:
    """Store an event that is an issue of its own; return the issue's id."""
    for number in range(6):  # What is alike must not be what all issues have in common.
        other = error(py(f"shop.mail:deliver_{number}"), type="TimeoutError", value="no answer")
        insert(app, other | {"fingerprint": [f"other {number}"]})

    def make(name: str, project_id: int = 1, **more: Any) -> int:
        event_id = insert(app, price(**more) | {"fingerprint": [name]}, project_id)
        read_unread(parts_of(app).store, 100)
        return int(app.test_client().get(f"/api/events/{event_id}").json["issue_id"])

    return make


def resolve(client: FlaskClient, issue_id: int, comment: str = NOTE, **more: Any) -> None:
    body = {"status": "resolved", "comment": comment, "remember_fix": True, **more}
    answer = client.patch(f"/api/issues/{issue_id}", json=body)
    assert answer.status_code == 200, answer.text


def fixes_seen(client: FlaskClient, issue_id: int) -> list[str]:
    found = client.get(f"/api/issues/{issue_id}/similar").json["similar"]
    return [one["fix"]["text"] for one in found if one["fix"]]


def count(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        return conn.scalar(select(func.count()).select_from(remembered_fixes)) or 0


def text_of_alert(app: Flask) -> str:
    evaluate(app)
    with parts_of(app).store.read() as conn:
        return str(queries.list_notifications(conn, limit=1)[0].text)


def test_fix_is_remembered_by_the_api_shown_by_similar_issues_and_forgotten(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    old, new = issue_of("old", release="shop@2.3.1"), issue_of("new", number=2)
    resolve(client, old)
    assert fixes_seen(client, new) == [NOTE]
    history = client.get(f"/api/issues/{old}/transitions").json["transitions"]
    assert {row["kind"]: row["is_fix"] for row in history} == {
        "commented": True,
        "resolved": False,
        "first_seen": False,
    }
    # A later comment is no fix, a later fix takes the place of the first one.
    client.post(f"/api/issues/{old}/comments", json={"text": "thanks"})
    assert fixes_seen(client, new) == [NOTE]
    later = {"text": "a better one", "remember_fix": True}
    assert client.post(f"/api/issues/{old}/comments", json=later).json["is_fix"]
    assert fixes_seen(client, new) == ["a better one"] and count(app) == 1
    answer = client.patch(f"/api/issues/{old}", json={"remember_fix": False})
    assert answer.status_code == 200 and fixes_seen(client, new) == []


@pytest.mark.parametrize(
    "body",
    [
        {"remember_fix": True},
        {"status": "resolved", "remember_fix": True},
        {"status": "ignored", "comment": "x", "remember_fix": True},
        {"status": "resolved", "comment": " ", "remember_fix": True},
        {"comment": "x" * 10_001},
        {"status": "resolved", "comment": "x", "remember_fix": "yes"},
    ],
)
def test_fix_without_its_comment_or_status_is_refused(
    client: FlaskClient, issue_of: Callable[..., int], body: dict[str, Any]
) -> None:
    answer = client.patch(f"/api/issues/{issue_of('one')}", json=body)
    assert answer.status_code == 422 and answer.json["errors"]


def test_page_offers_it_shows_it_and_takes_it_back(
    app: Flask, admin_client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    old, new = issue_of("old", release="shop@2.3.1"), issue_of("new", number=2)
    page = admin_client.get(f"/admin/issues/{old}").text
    assert "Resolve with a comment" in page and "Seen before" not in page
    form = {"csrf_token": csrf_token(admin_client, f"/admin/issues/{old}")}
    given = {"action": "resolve", "text": NOTE.replace("\n", "\r\n"), "remember": "1"}
    admin_client.post(f"/admin/issues/{old}/status", data=form | given)
    page = admin_client.get(f"/admin/issues/{old}").text
    assert "Remembered fix" in page and "its fix is remembered" in page
    page = admin_client.get(f"/admin/issues/{new}").text
    assert "Seen before" in page and "fixed in " in page and "Renew it in the vault" in page
    admin_client.post(f"/admin/issues/{old}/status", data=form | {"action": "reopen"})
    assert "fixed once, and open again" in admin_client.get(f"/admin/issues/{new}").text
    # Forgotten, and remembered again by the button beside the comment.
    admin_client.post(f"/admin/issues/{old}/status", data=form | {"action": "resolve"})
    admin_client.post(f"/admin/issues/{old}/fix", data=form | {"comment": ""})
    assert "Seen before" not in admin_client.get(f"/admin/issues/{new}").text
    rows = admin_client.get(f"/api/issues/{old}/transitions").json["transitions"]
    [comment] = [row["id"] for row in rows if row["kind"] == "commented"]
    # A comment of another issue, or a row that is no comment, is no fix of it.
    of_new = admin_client.post(f"/api/issues/{new}/comments", json={"text": "it is new"}).json["id"]
    for number in (of_new, rows[0]["id"], "x", "9" * 30):
        answer = admin_client.post(f"/admin/issues/{old}/fix", data=form | {"comment": number})
        assert answer.status_code == 404
        assert count(app) == 0
    admin_client.post(f"/admin/issues/{old}/fix", data=form | {"comment": comment})
    assert fixes_seen(admin_client, new) == [NOTE]
    # A comment that is gone, on a page that was open for long, leaves the fix as it is.
    admin_client.post(f"/admin/issues/{old}/fix", data=form | {"comment": "99999"})
    assert fixes_seen(admin_client, new) == [NOTE]


@pytest.mark.one_database
def test_issue_that_is_not_resolved_has_no_fix_at_any_door(
    app: Flask, admin_client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    old = issue_of("old")
    body = {"text": NOTE, "remember_fix": True}
    answer = admin_client.post(f"/api/issues/{old}/comments", json=body)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "remember_fix"
    agent = bearer(app, "mcp", "mcp:write")
    is_error, text = call(app, agent, "comment_on_issue", issue_id=old, **body)
    assert is_error and "remember_fix" in text
    kinds = admin_client.get(f"/api/issues/{old}/transitions").json["transitions"]
    assert [row["kind"] for row in kinds] == ["first_seen"]
    form = {"csrf_token": csrf_token(admin_client, f"/admin/issues/{old}")}
    comment = form | {"text": NOTE, "remember": "1"}
    admin_client.post(f"/admin/issues/{old}/comments", data=comment)
    [row] = admin_client.get(f"/api/issues/{old}/transitions").json["transitions"][:1]
    admin_client.post(f"/admin/issues/{old}/fix", data=form | {"comment": row["id"]})
    assert "there is no fix to be remembered" in admin_client.get(f"/admin/issues/{old}").text
    assert count(app) == 0


@pytest.mark.one_database
def test_comment_of_the_form_is_no_fix_when_another_button_of_it_is_pressed(
    app: Flask, admin_client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    issue = issue_of("one")
    form = {"csrf_token": csrf_token(admin_client, f"/admin/issues/{issue}")}
    form |= {"action": "ignore", "text": NOTE, "remember": "1"}
    assert admin_client.post(f"/admin/issues/{issue}/status", data=form).status_code == 303
    assert "provider" in admin_client.get(f"/admin/issues/{issue}").text and count(app) == 0


def test_other_project_never_sees_it_and_it_goes_with_its_issue(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    create_project(parts_of(app).store, "Shop", 2)
    old, other = issue_of("old"), issue_of("new", 2)
    resolve(client, old)
    assert fixes_seen(client, other) == []
    client.delete(f"/api/issues/{old}")
    assert count(app) == 0


@pytest.mark.parametrize("target_has_one", [False, True])
def test_merge_moves_it_and_keeps_the_newer_one(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int], target_has_one: bool
) -> None:
    first, second, new = (issue_of(f"issue {n}", number=n) for n in (1, 2, 3))
    if target_has_one:
        resolve(client, first, "older")
    resolve(client, second, "newer")
    merged = client.post("/api/issues/merge", json={"ids": [first, second]})
    assert merged.json["id"] == first and count(app) == 1
    assert fixes_seen(client, new) == ["newer"]


def test_alert_of_a_new_issue_says_how_the_similar_one_was_fixed(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    only(app, "spike")
    old = issue_of("old", release="shop@2.3.1")
    evaluate(app)
    add_rule(app, "new_issue")
    resolve(client, old, resolved_in={"release": "shop@2.3.1"})
    issue_of("new", number=2)
    lines = text_of_alert(app).splitlines()
    [line] = [line for line in lines if line.startswith("Seen before: ")]
    assert line.endswith(
        f"(issue {old}), fixed in 2.3.1: The provider's *key* had expired. Renew it in the vault."
    )
    assert lines[-1].startswith("Rule ")


def test_alert_names_the_resolved_one_of_equally_similar_issues(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    only(app, "spike")
    fixed, back = issue_of("fixed"), issue_of("back", number=3)
    resolve(client, fixed, "renewed")
    resolve(client, back, "tried once more")
    client.patch(f"/api/issues/{back}", json={"status": "unresolved"})
    evaluate(app)
    add_rule(app, "new_issue")
    issue_of("new", number=2)
    text = text_of_alert(app)
    assert f"(issue {fixed}), fixed: renewed" in text and "tried once more" not in text


def test_alert_of_many_issues_has_a_line_for_each_of_the_first_three(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    only(app, "spike")
    resolve(client, issue_of("old"), "x" * 5000)
    evaluate(app)
    add_rule(app, "new_issue")
    for number in range(2, 7):
        issue_of(f"new {number}", number=number)
    lines = text_of_alert(app).splitlines()
    assert [line[:4] for line in lines] == [
        *("1. K", "Seen", "2. K", "Seen", "3. K", "Seen", "4. K", "5. K", "Rule")
    ]
    assert max(map(len, lines)) < 500


def test_hostile_comment_is_a_line_of_the_text_that_channels_escape(
    app: Flask, client: FlaskClient, issue_of: Callable[..., int]
) -> None:
    only(app, "spike")
    add_webhook(app, "https://1.1.1.1/hook")
    resolve(client, issue_of("old"), HOSTILE)
    evaluate(app)
    add_rule(app, "new_issue")
    issue_of("new", number=2)
    evaluate(app)
    with parts_of(app).store.read() as conn:
        notification = queries.read_notification(conn, sendings(app)[0].id, "https://d.example")
    assert "Seen before" in "\n".join(notification.lines)
    slack = KINDS["slack"]
    assert isinstance(slack, UrlChannel)
    text = slack.content(notification)["text"]
    assert "<!channel>" not in text and "&lt;!channel&gt;" in text
