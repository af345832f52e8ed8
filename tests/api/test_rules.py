"""Rules through the API: kept, changed, ordered, tried; what cannot be is named."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.issues.payloads import calls, error

TIMEOUTS = {"kind": "fingerprint", "text": "type:TimeoutError -> timeouts", "name": "timeouts"}
PROBES = {"kind": "ignore", "text": 'message:"*health*"'}


def add(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/rules", json=fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_rule_is_kept_and_applies_at_once_in_the_process_that_kept_it(
    app: Flask, client: FlaskClient
) -> None:
    insert(app, error(type="TimeoutError"))
    added = add(client, **TIMEOUTS)
    assert {**TIMEOUTS, "enabled": True, "project_id": None}.items() <= added.items()
    assert client.get("/api/rules").json["rules"] == [added]
    event = client.get(f"/api/events/{insert(app, error(type='TimeoutError'))}").json
    assert event["grouping"]["key"] == "fingerprint\n- timeouts"
    assert event["grouping"]["reason"] == "rule: timeouts"
    issue = client.get(f"/api/issues/{event['issue_id']}").json
    assert issue["grouping"]["reason"] == "rule: timeouts"


def test_ignored_event_says_by_which_rule(app: Flask, client: FlaskClient) -> None:
    add(client, **PROBES, name="probes")
    event = client.get(f"/api/events/{insert(app, {'message': 'health check failed'})}").json
    assert event["ignored_by"] == "probes"
    assert client.get(f"/api/issues/{event['issue_id']}").json["status"] == "ignored"


def test_change_order_and_removal(app: Flask, client: FlaskClient) -> None:
    first, second = add(client, **TIMEOUTS), add(client, **PROBES)
    path = f"/api/rules/{second['id']}"
    moved = client.patch(path, json={"position": 1, "enabled": False, "name": "probes"}).json
    assert (moved["position"], moved["enabled"], moved["name"]) == (1, False, "probes")
    assert [one["id"] for one in client.get("/api/rules").json["rules"]] == [
        second["id"],
        first["id"],
    ]
    assert client.delete(path, json={}).status_code == 204
    assert client.delete(path, json={}).status_code == 404
    assert client.patch(path, json={"enabled": True}).status_code == 404


def test_project_of_a_rule_can_be_set_and_taken_away(app: Flask, client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Other", 7)
    rule = add(client, **PROBES, project_id=7)
    assert client.get("/api/rules?project_id=1").json["rules"] == []
    assert client.get("/api/rules?project_id=7").json["rules"] == [rule]
    changed = client.patch(f"/api/rules/{rule['id']}", json={"project_id": None}).json
    assert changed["project_id"] is None
    assert len(client.get("/api/rules?project_id=1").json["rules"]) == 1


@pytest.mark.parametrize(
    ("field", "fields", "says"),
    [
        ("text", {"kind": "ignore", "text": "type:"}, "at character 6: expected a pattern"),
        ("text", {"kind": "fingerprint", "text": "type:A"}, "fingerprint"),
        ("project_id", {**PROBES, "project_id": 77}, "no such project"),
        ("kind", {"kind": "drop", "text": "type:A"}, "fingerprint"),
        ("colour", {**PROBES, "colour": "red"}, "not permitted"),
    ],
)
@pytest.mark.parametrize("path", ["/api/rules", "/api/rules/try"])
def test_what_is_wrong_is_named(
    client: FlaskClient, path: str, field: str, fields: dict[str, Any], says: str
) -> None:
    answer = client.post(path, json=fields)
    assert answer.status_code == 422
    [wrong] = answer.json["errors"]
    assert wrong["field"] == field and says in wrong["message"]
    assert client.get("/api/rules").json["rules"] == []


def test_trial_tells_what_would_be_without_doing_it(app: Flask, client: FlaskClient) -> None:
    event_id = insert(app, calls("charge", type="TimeoutError"))
    result = client.post("/api/rules/try", json=TIMEOUTS).json
    assert (result["tried"], result["matched"]) == (1, 1)
    [move] = result["moves"]
    assert move["event_ids"] == [event_id] and move["issue_id"] is None
    assert move["grouping"]["reason"] == "rule: timeouts"
    assert client.get("/api/rules").json["rules"] == []
    assert client.get("/api/issues").json["total"] == 1


def test_stack_of_an_event_without_exception_is_told(app: Flask, client: FlaskClient) -> None:
    frames = [{"function": "main", "module": "shop", "lineno": 3}]
    event_id = insert(app, {"message": "slow", "stacktrace": {"frames": frames}})
    event = client.get(f"/api/events/{event_id}").json
    assert [frame["function"] for frame in event["stack"]] == ["main"]
    assert event["exceptions"] == []
