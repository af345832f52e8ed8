"""The page of rules: written, tried, kept, ordered, switched, deleted; without JavaScript."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.issues.rulebook import StoredRule, list_rules
from tests.admin.hostile import SCRIPT, insert
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import error

PATH = "/admin/rules"
TIMEOUTS = {"kind": "fingerprint", "text": "type:TimeoutError -> timeouts", "name": "timeouts"}


def rules(app: Flask) -> list[StoredRule]:
    with parts_of(app).store.read() as conn:
        return list_rules(conn)


def words(page: str) -> str:
    return re.sub(r"<[^>]*>", "", page)


def send(client: FlaskClient, path: str, **fields: Any) -> Any:
    token = csrf_token(client, PATH)
    return client.post(path, data={"project": "0", **fields, "csrf_token": token})


def test_rule_is_added_by_the_form_and_shown(app: Flask, admin_client: FlaskClient) -> None:
    assert "There are no rules" in admin_client.get(PATH).text
    answer = send(admin_client, PATH, **TIMEOUTS, do="keep")
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    [rule] = rules(app)
    assert (rule.text, rule.created_by, rule.enabled) == (TIMEOUTS["text"], "admin", True)
    page = admin_client.get(PATH).text
    assert "timeouts" in page and "type:TimeoutError -&gt; timeouts" in page


def test_trying_shows_before_and_after_and_keeps_nothing(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = insert(app, error(type="TimeoutError"))
    page = send(admin_client, PATH, **TIMEOUTS, do="try")
    assert page.status_code == 200
    assert "a new issue" in page.text and "rule: timeouts" in page.text
    assert f"/admin/events/{event_id}" in page.text
    assert "type:TimeoutError -&gt; timeouts" in page.text
    assert rules(app) == []


@pytest.mark.parametrize("do", ["try", "keep"])
def test_fault_is_shown_at_its_place(app: Flask, admin_client: FlaskClient, do: str) -> None:
    page = send(admin_client, PATH, kind="ignore", text="type: x", name="", do=do)
    assert page.status_code == 422
    assert "At character 6: expected a pattern" in page.text
    assert rules(app) == []


def test_rule_is_changed_ordered_switched_and_deleted(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(admin_client, PATH, **TIMEOUTS, do="keep")
    send(admin_client, PATH, kind="ignore", text="level:debug", name="", do="keep")
    first, second = rules(app)
    path = f"{PATH}/{first.id}"
    assert "type:TimeoutError" in admin_client.get(path).text
    send(admin_client, path, **{**TIMEOUTS, "name": "slow"}, do="keep")
    send(admin_client, f"{PATH}/{second.id}/place", place="1")
    send(admin_client, f"{path}/enabled", enabled="no")
    assert [(rule.id, rule.title, rule.enabled) for rule in rules(app)] == [
        (second.id, "level:debug", True),
        (first.id, "slow", False),
    ]
    assert send(admin_client, f"{path}/delete").status_code == 303
    assert [rule.id for rule in rules(app)] == [second.id]
    assert admin_client.get(path).status_code == 404
    assert send(admin_client, f"{path}/enabled", enabled="yes").status_code == 404
    assert send(admin_client, f"{PATH}/{second.id}/place", place="9" * 40).status_code == 303


def test_event_and_issue_say_by_what_they_are_grouped_and_ignored(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(admin_client, PATH, **TIMEOUTS, do="keep")
    send(admin_client, PATH, kind="ignore", text="level:debug", name="noise", do="keep")
    event_id = insert(app, {**error(type="TimeoutError"), "level": "debug"})
    page = words(admin_client.get(f"/admin/events/{event_id}").text)
    assert "Grouped by: rule: timeouts" in page and "Ignored by rule: noise" in page
    issue_id = admin_client.get(f"/api/events/{event_id}").json["issue_id"]
    page = words(admin_client.get(f"/admin/issues/{issue_id}?tab=groups").text)
    assert "Grouped by: rule: timeouts" in page
    assert "Its latest event was ignored by rule: noise" in page


def test_rules_hold_whatever_a_person_writes(app: Flask, admin_client: FlaskClient) -> None:
    text = 'message:"<script>window.ran=1</script>*" -> "<b>"'
    send(admin_client, PATH, kind="fingerprint", text=text, name=SCRIPT[:200], do="keep")
    event_id = insert(app, {"message": "<script>window.ran=1</script>"})
    for path in (PATH, f"{PATH}/{rules(app)[0].id}", f"/admin/events/{event_id}"):
        assert "<script>window" not in admin_client.get(path).text


def test_event_with_a_loose_stack_shows_it(app: Flask, admin_client: FlaskClient) -> None:
    frames = [{"function": "poll_queue", "filename": "shop/queue.py", "lineno": 3}]
    event_id = insert(app, {"message": "slow poll", "stacktrace": {"frames": frames}})
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "poll_queue" in page and "no stack belongs to it" not in page
    assert page.count("slow poll") >= 1 and "(no type)" not in page
    text = admin_client.get(f"/admin/events/{event_id}.md").text
    assert "## Stack" in text and "shop/queue.py:3 in poll_queue" in text
