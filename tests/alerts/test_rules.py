"""Rules of alerts by the API and on the pages: kept, narrowed, switched, refused in words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.alerts.rules.kind import KINDS
from app.projects import create_project
from tests.alert_steps import evaluate, store_events
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import calls

RULES = "/api/alerts/rules"
PAGE = "/admin/alerts/rules"


def add(client: FlaskClient, **fields: Any) -> Any:
    answer = client.post(RULES, json={"project_id": 1, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json


def send(client: FlaskClient, path: str, **fields: Any) -> Any:
    return client.post(path, data={**fields, "csrf_token": csrf_token(client, PAGE)})


# ---- by the API ---------------------------------------------------------------------------------


def test_recommended_rules_are_there_before_the_first_turn(app: Flask, client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop")
    shop = client.get(f"{RULES}?project_id=2").json["rules"]
    assert {rule["kind"]: rule["threshold"] for rule in shop} == {
        "new_issue": None,
        "regression": None,
        "spike": 3,
        "error_rate": 5,
        "p95": 2000,
        "outbox_age": 15,
        "circuit_open": 5,
        "unconfirmed": 1,
        "monitor": None,
        "client_losses": 10,
        "new_issue_limit": None,
        "quota": None,
    }
    assert all(rule["enabled"] and rule["state"] == "unknown" for rule in shop)
    assert shop[0]["filters"]["level"] == "error"


@pytest.mark.parametrize("kind", KINDS)
def test_rule_starts_with_what_its_kind_says(client: FlaskClient, kind: str) -> None:
    made = add(client, kind=kind, name="Mine")
    about = KINDS[kind]
    assert (made["threshold"], made["unit"]) == (about.defaults()["threshold"], about.unit)
    assert (made["window_minutes"], made["minimum"]) == (about.window_minutes, about.minimum)
    assert (made["name"], made["preset"]) == ("Mine", None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"kind": "p95", "project_id": 7}, "project_id"),
        ({"kind": "p95", "threshold": 0}, "threshold"),
        ({"kind": "p95", "threshold": 1e300}, "threshold"),
        ({"kind": "books", "threshold": 1}, "threshold"),
        ({"kind": "frequency", "threshold": 10_001}, "threshold"),
        ({"kind": "frequency", "window_minutes": 1441}, "window_minutes"),
        ({"kind": "spike", "window_minutes": 5}, "window_minutes"),
        ({"kind": "frequency", "minimum": 5}, "minimum"),
        ({"kind": "p95", "cooldown_minutes": 0}, "cooldown_minutes"),
        ({"kind": "p95", "filters": {"level": "error"}}, "filters.level"),
        ({"kind": "spike", "filters": {"release": "x"}}, "filters.release"),
        ({"kind": "new_issue", "filters": {"level": "loud"}}, "filters.level"),
        ({"kind": "new_issue", "filters": {"colour": "red"}}, "filters.colour"),
        ({"kind": "new_issue", "filters": {"type": "x" * 201}}, "filters.type"),
        ({"kind": "new_issue", "channel_ids": [7]}, "channel_ids"),
        ({"kind": "new_issue", "name": "x" * 201}, "name"),
    ],
)
def test_wrong_rule_is_refused_at_its_field(
    client: FlaskClient, fields: dict[str, Any], field: str
) -> None:
    before = client.get(RULES).json["rules"]
    answer = client.post(RULES, json={"project_id": 1, **fields})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert client.get(RULES).json["rules"] == before


def test_disk_and_books_are_of_the_services_own_project(app: Flask, client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop")
    answer = client.post(RULES, json={"project_id": 2, "kind": "disk"})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "kind"


def test_rule_is_changed_switched_off_and_deleted(client: FlaskClient) -> None:
    made = add(client, kind="frequency", threshold=5, filters={"type": "*Timeout*"})
    path = f"{RULES}/{made['id']}"
    changed = client.patch(path, json={"threshold": 7, "enabled": False, "cooldown_minutes": 1})
    assert (changed.json["threshold"], changed.json["enabled"]) == (7, False)
    assert changed.json["filters"]["type"] == "*Timeout*"
    assert client.patch(path, json={"filters": {}}).json["filters"]["type"] is None
    assert client.patch(path, json={"threshold": -1}).status_code == 422
    assert client.delete(path, json={}).status_code == 204
    assert client.delete(path, json={}).status_code == 404
    assert client.patch(path, json={}).status_code == 404


def test_rule_from_the_start_is_switched_off_and_not_deleted(client: FlaskClient) -> None:
    first = client.get(RULES).json["rules"][0]
    answer = client.delete(f"{RULES}/{first['id']}", json={})
    assert answer.status_code == 422 and "switched off" in answer.text
    off = client.patch(f"{RULES}/{first['id']}", json={"enabled": False})
    assert off.json["enabled"] is False


def test_project_has_no_more_rules_than_are_evaluated_cheaply(client: FlaskClient) -> None:
    for _ in range(50):
        add(client, kind="regression")
    answer = client.post(RULES, json={"project_id": 1, "kind": "regression"})
    assert answer.status_code == 422 and "at most 50 rules" in answer.text


def test_notices_are_listed_by_project_and_in_pages(app: Flask, client: FlaskClient) -> None:
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    [notification] = client.get("/api/alerts?project_id=1").json["alerts"]
    assert (notification["kind"], notification["title"]) == (
        "new_issue",
        "New issue: ValueError: declined",
    )
    assert notification["issue_id"] and notification["event_id"] and notification["sendings"] == []
    assert client.get("/api/alerts?project_id=2").json == {"alerts": [], "next": None}
    assert client.get(f"/api/alerts?cursor={notification['id']}").json["alerts"] == []


# ---- on the pages -------------------------------------------------------------------------------


def test_page_says_that_there_is_no_data_yet(app: Flask, admin_client: FlaskClient) -> None:
    assert "not evaluated yet" in admin_client.get(PAGE).text
    evaluate(app)
    page = admin_client.get(PAGE).text
    assert page.count("No data yet: no requests within 15 minutes.") == 2
    assert "above 5 %, within 15 minutes, from 20 requests on" in page


@pytest.mark.parametrize("kind", KINDS)
def test_rule_of_every_kind_is_made_changed_and_deleted_on_the_pages(
    admin_client: FlaskClient, kind: str
) -> None:
    about = KINDS[kind]
    form = admin_client.get(f"{PAGE}/new?kind={kind}").text
    assert ("Threshold" in form) is (about.threshold is not None)
    fields = {name: str(value) for name, value in about.defaults().items() if value is not None}
    made = send(admin_client, f"{PAGE}/new", kind=kind, project="1", name="Mine", **fields)
    assert made.status_code == 303, made.text
    path = made.headers["Location"]
    assert "Mine" in admin_client.get(path).text
    changed = send(admin_client, path, name="Ours", **fields)
    assert changed.status_code == 303
    assert "Ours" in admin_client.get(PAGE).text
    assert send(admin_client, f"{path}/enabled", enabled="no").status_code == 303
    assert send(admin_client, f"{path}/delete").status_code == 303
    assert "Ours" not in admin_client.get(PAGE).text


def test_fault_stands_at_its_field(admin_client: FlaskClient) -> None:
    fields = {"kind": "p95", "project": "1", "name": "", "threshold": "0"}
    page = send(admin_client, f"{PAGE}/new", **fields)
    assert page.status_code == 422
    assert "A number from 1 to 3,600,000 is expected." in page.text
    empty = send(admin_client, f"{PAGE}/new", **fields | {"threshold": "5", "minimum": ""})
    assert empty.status_code == 422


def test_rule_and_notice_lead_to_each_other(app: Flask, admin_client: FlaskClient) -> None:
    store_events(app, calls("charge", value="<b>declined</b>"))
    evaluate(app)
    page = admin_client.get("/admin/alerts").text
    assert "<b>declined" not in page
    notification = admin_client.get(str(re.search(r"/admin/alerts/\d+", page)[0])).text
    assert (
        "<b>declined" not in notification
        and "/admin/issues/" in notification
        and "/admin/events/" in notification
    )
    rule = admin_client.get(str(re.search(r"/admin/alerts/rules/\d+", notification)[0])).text
    assert "New issue: ValueError" in rule


def test_unknown_kind_and_rule_are_404(admin_client: FlaskClient) -> None:
    for path in ("/new", "/new?kind=pigeon", "/new?kind=p95&project=7", "/7777", f"/{2**63}"):
        assert admin_client.get(PAGE + path).status_code == 404, path
