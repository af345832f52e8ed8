"""What notifications say of their issues: all of them, the worst first, as they were then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from app.alerts.rules import frequency
from app.alerts.rules.changes import ensure_presets
from app.alerts.rules.stored import list_rules
from app.issues import triage
from app.issues.tables import issues
from app.projects import create_project
from app.stats.users import MAX_USERS
from app.store import Store
from tests.alert_steps import (
    add_channel,
    add_rule,
    add_webhook,
    evaluate,
    only,
    send_due,
    store_events,
    titles,
)
from tests.conftest import parts_of
from tests.issues.payloads import Payload, calls
from tests.receivers import MailServer, Receiver

MIGRATIONS = Path(__file__).parents[2] / "migrations"
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FORMATTED = "price' for *Cart* :wave: __init__ ~x~ `y` <!channel> & co"


def error(number: int, **fields: Any) -> Payload:
    payload = calls(f"f{number}", value=f"number {number}")
    return {**payload, "environment": "production", "release": "shop@2.4.0", **fields}


def client_of(app: Flask) -> FlaskClient:
    return app.test_client()


def fourteen(app: Flask, **fields: Any) -> None:
    """Store 14 new issues; the last is the worst: three users, then one of five events."""
    store_events(app, *[error(number, **fields) for number in range(14)])
    store_events(app, *[error(13, user={"id": str(who)}, **fields) for who in range(3)])
    store_events(app, *[error(12, **fields)] * 5)


# ---- many ---------------------------------------------------------------------------------------


def test_batch_names_its_issues_worst_first_in_the_webhook(app: Flask, receiver: Receiver) -> None:
    add_webhook(app, receiver.url)
    only(app, "new_issue", name="New issues")
    fourteen(app)
    evaluate(app)
    send_due(app)
    [got] = receiver.received
    sent = got.json
    assert sent["title"] == "DevEnviro · production: 14 new issues in shop@2.4.0"
    assert sent["total"] == len(sent["issues"]) == 14
    assert [one["title"] for one in sent["issues"][:3]] == [
        f"ValueError: number {number}" for number in (13, 12, 0)
    ]
    assert sent["issue"]["id"] == sent["issues"][0]["id"]
    lines = sent["text"].splitlines()
    assert lines[0].startswith("1. ValueError: number 13 · f13, ")
    assert lines[0].endswith(" · 4 events, 3 users")
    assert lines[9].startswith("10. ") and lines[10] == "and 4 more: Open all 14"
    assert lines[11].startswith("Rule New issues. Next message not before ")


def test_slack_names_the_same_issues_and_leads_to_all(app: Flask, receiver: Receiver) -> None:
    add_channel(app, "slack", receiver.url)
    only(app, "new_issue")
    fourteen(app)
    evaluate(app)
    send_due(app)
    [got] = receiver.received
    assert "1. ValueError: number 13" in got.json["text"]
    assert "and 4 more: <http" in got.json["text"] and "|Open all 14>" in got.json["text"]
    elements = got.json["blocks"][0]["elements"][0]["elements"]
    assert "10. ValueError" in "".join(element["text"] for element in elements)
    assert "Open all 14" in [element["text"] for element in elements if element["type"] == "link"]


def test_mail_names_the_same_issues_and_leads_to_all(make_app: Callable[..., Flask]) -> None:
    with MailServer() as server:
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": server.port, "SMTP_TLS": "off"}
        app = make_app(**mail)
        ways = {"kind": "email", "name": "Ops", "to": "ops@example.org"}
        assert client_of(app).post("/api/alerts/channels", json=ways).status_code == 201
        only(app, "new_issue", name="New issues")
        fourteen(app)
        evaluate(app)
        send_due(app)
        [got] = server.received
    said = "DevEnviro · production: 14 new issues in shop@2.4.0"
    assert got["Subject"] == f"[DevEnviro] {said}"
    lines = got.get_content().splitlines()
    first = lines.index(next(line for line in lines if line.startswith("1. ")))
    assert lines[0] == said and lines[first].startswith("1. ValueError: number 13 · f13, ")
    assert lines[first].endswith(" · 4 events, 3 users")
    assert lines[first + 9].startswith("10. ") and lines[first + 10] == "and 4 more: Open all 14"
    assert lines[first + 11].startswith("Rule New issues. Next message not before ")
    [notification] = client_of(app).get("/api/alerts").json["alerts"]
    [leads_to] = [line for line in lines if line.startswith("Open all 14: ")]
    assert leads_to.endswith(f"/admin/alerts/{notification['id']}")
    assert not [line for line in lines if "/admin/events/" in line]


def test_page_of_a_notice_says_that_users_are_counted_up_to_a_bound(
    app: Flask, admin_client: FlaskClient
) -> None:
    only(app, "new_issue")
    store_events(app, error(0), error(1))
    with parts_of(app).store.write() as conn:
        conn.execute(update(issues).where(issues.c.id == 1).values(users=MAX_USERS))
    evaluate(app)
    page = admin_client.get("/admin/alerts/1").text
    assert "10,000+<span" in page and "10,000<span" not in page


def test_list_of_a_notice_is_what_it_was_when_issues_and_events_are_gone(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    only(app, "new_issue")
    fourteen(app)
    evaluate(app)
    with parts_of(app).store.write() as conn:
        triage.delete(conn, list(conn.scalars(select(issues.c.id))))
    [notification] = client.get("/api/alerts").json["alerts"]
    found = client.get(f"/api/alerts/{notification['id']}").json
    assert (found["total"], len(found["issues"])) == (14, 14)
    assert found["issues"][0]["title"] == "ValueError: number 13"
    page = admin_client.get(f"/admin/alerts/{notification['id']}").text
    assert page.count("deleted since") == 14 and "ValueError: number 0" in page


def test_issue_that_was_merged_since_is_named_once(app: Flask, client: FlaskClient) -> None:
    only(app, "new_issue")
    store_events(app, error(0), error(1), error(2))
    with parts_of(app).store.read() as conn:
        ids = list(conn.scalars(select(issues.c.id).order_by(issues.c.id)))
    assert client.post("/api/issues/merge", json={"ids": ids[:2]}).status_code == 200
    evaluate(app)
    assert titles(app) == ["DevEnviro · production: 2 new issues in shop@2.4.0"]


# ---- one ----------------------------------------------------------------------------------------


def test_notice_of_one_issue_says_where_how_often_and_why(app: Flask, receiver: Receiver) -> None:
    add_webhook(app, receiver.url)
    only(app, "new_issue", name="New issues")
    payload = error(1)
    inner = {"type": "KeyError", "value": "'price'\nsecond line"}
    payload["exception"]["values"].insert(0, inner)
    store_events(app, payload)
    evaluate(app)
    send_due(app)
    [got] = receiver.received
    said = got.json["text"]
    assert "Environment production · release shop@2.4.0 · 1 event" in said
    assert "Caused by KeyError: 'price'\n" in said and ":" in said.splitlines()[0]
    assert {"issue", "event", "notice"} <= got.json["links"].keys()


def test_regression_says_who_had_resolved_it_and_where_it_was_seen(app: Flask) -> None:
    only(app, "regression")
    store_events(app, error(1, release="shop@2.3.1"))
    with parts_of(app).store.write() as conn:
        triage.resolve(conn, list(conn.scalars(select(issues.c.id))), "admin")
    store_events(app, error(1, release="shop@2.4.0"))
    evaluate(app)
    assert titles(app) == [
        "Back: ValueError: number 1 (resolved by admin just now in 2.3.1, seen in 2.4.0)"
    ]


def test_regression_is_told_by_the_recommended_rules_alone(app: Flask, client: FlaskClient) -> None:
    store_events(app, error(1))
    evaluate(app)
    client.patch("/api/issues/1", json={"status": "resolved"})
    store_events(app, error(1))
    evaluate(app)
    assert [title[:5] for title in titles(app)] == ["New i", "Back:"]


@pytest.mark.parametrize("count", [1, 2])
def test_formatting_in_a_title_stays_text_in_slack(
    app: Flask, receiver: Receiver, count: int
) -> None:
    add_channel(app, "slack", receiver.url)
    only(app, "new_issue")
    store_events(app, *[calls(f"f{n}", value=f"{n} {FORMATTED}") for n in range(count)])
    evaluate(app)
    send_due(app)
    [got] = receiver.received
    shown = got.json["text"].replace("\u200b", "")
    assert "&lt;!channel&gt; &amp; co" in shown
    for active in ("*Cart*", ":wave:", "__init__", "~x~", "`y`", "<!channel>"):
        assert active not in got.json["text"]
    block = got.json["blocks"][0]["elements"][0]["elements"]
    assert FORMATTED in "".join(one["text"] for one in block)
    assert {one["type"] for one in block} == {"text", "link"}


# ---- frequency ----------------------------------------------------------------------------------


def test_busier_issues_of_another_kind_do_not_hide_the_one_a_rule_is_about(app: Flask) -> None:
    only(app, "frequency", threshold=2, filters={"type": "KeyError"})
    busier = [calls(f"noisy{n}", value=f"noise {n}") for n in range(60)]
    store_events(app, *busier * 3, *[calls("quiet", type="KeyError", value="mine")] * 2)
    evaluate(app)
    assert titles(app) == ["2 events or more within 60 minutes: KeyError: mine"]


@pytest.mark.parametrize("of_it", [{"environment": "production"}, {"release": "shop@2*"}])
def test_busier_issues_of_another_environment_or_release_do_not_hide_the_one_a_rule_is_about(
    app: Flask, monkeypatch: pytest.MonkeyPatch, of_it: dict[str, str]
) -> None:
    monkeypatch.setattr(frequency, "MAX_MATCHES", 20)
    only(app, "frequency", threshold=2, filters=of_it)
    staging = {"environment": "staging", "release": "shop@3"}
    store_events(app, *[error(number, **staging) for number in range(40)] * 3)
    # Of the busiest one, too, what is of another environment does not count.
    store_events(app, error(0), *[error(99)] * 2)
    evaluate(app)
    assert [title[-9:] for title in titles(app)] == ["number 99"]


def test_more_issues_than_a_turn_finds_are_told_in_the_next(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frequency, "MAX_MATCHES", 2)
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2, filters={"environment": "production"})
        store_events(app, *[error(number) for number in range(5)] * 2)
        told = []
        for _ in range(4):
            evaluate(app)
            clock.shift(timedelta(minutes=1))
        told = [one["total"] for one in client_of(app).get("/api/alerts").json["alerts"]]
    assert sorted(told) == [1, 2, 2]


def test_issue_that_was_busier_before_the_window_does_not_hide_one_within_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frequency, "MAX_MATCHES", 3)
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2, window_minutes=10)
        store_events(app, *[error(number) for number in range(10)] * 3)
        clock.shift(timedelta(minutes=30))
        store_events(app, *[error(99)] * 2)
        evaluate(app)
    assert [title[-9:] for title in titles(app)] == ["number 99"]


def test_issue_that_was_told_does_not_silence_the_rule_for_another(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2)
        for number in (1, 2):
            store_events(app, *[error(number)] * 2)
            evaluate(app)
            clock.shift(timedelta(minutes=2))
        evaluate(app)
    assert [title[-8:] for title in titles(app)] == ["number 1", "number 2"]


# ---- channels and rules -------------------------------------------------------------------------


def test_channel_that_fails_says_so_everywhere_until_it_works(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, receiver: Receiver
) -> None:
    made = add_webhook(app, receiver.url, "Night shift")
    pages = [f"/admin/alerts/channels/{made.id}", "/admin/alerts/channels", "/admin/"]
    receiver.answer = lambda: Response(status=503)
    client.post(f"/api/alerts/channels/{made.id}/test", json={})
    for page in pages:
        assert "answered 503" in admin_client.get(page).text
    [shown] = client.get("/api/alerts/channels").json["channels"]
    assert shown["failing_since"] and shown["failure"] == "answered 503"
    receiver.answer = Response
    client.post(f"/api/alerts/channels/{made.id}/test", json={})
    for page in pages:
        assert "answered 503" not in admin_client.get(page).text


def test_start_names_the_project_whose_alerts_have_no_channel(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, receiver: Receiver
) -> None:
    evaluate(app)
    assert "Alerts reach nobody: add a channel" in admin_client.get("/admin/").text
    used, off = (add_webhook(app, receiver.url, name) for name in ("used", "off"))
    assert "reach nobody" not in admin_client.get("/admin/").text
    shop = create_project(parts_of(app).store, "Shop")
    add_rule(app, "new_issue", project_id=shop.id, channel_ids=[off.id])
    client.patch(f"/api/alerts/channels/{off.id}", json={"enabled": False})
    assert "Alerts of Shop reach nobody" in admin_client.get("/admin/").text
    assert "Alerts of DevEnviro reach nobody" not in admin_client.get("/admin/").text


def test_rule_of_all_projects_is_one_and_silent_in_each_by_itself(
    app: Flask, client: FlaskClient
) -> None:
    shop = create_project(parts_of(app).store, "Shop")
    only(app, "frequency", threshold=10_000)
    body = {"project_id": None, "kind": "new_issue", "name": "Everywhere"}
    made = client.post("/api/alerts/rules", json=body)
    assert made.status_code == 201 and made.json["project_id"] is None
    store_events(app, error(1))
    evaluate(app)
    store_events(app, error(2), project_id=shop.id)
    evaluate(app)
    assert titles(app) == [f"New issue: ValueError: number {number}" for number in (1, 2)]


def test_recommended_rule_is_set_apart_and_switched_off_for_one_project(
    app: Flask, client: FlaskClient
) -> None:
    shop = create_project(parts_of(app).store, "Shop")
    listed = client.get("/api/alerts/rules").json["rules"]
    assert [rule["project_id"] for rule in listed if rule["preset"] == "new_errors"] == [None]
    own = client.post(
        f"/api/alerts/rules/{listed[0]['id']}/set-apart", json={"project_id": shop.id}
    )
    client.patch(f"/api/alerts/rules/{own.json['id']}", json={"enabled": False})
    store_events(app, error(1), project_id=shop.id)
    store_events(app, error(2))
    evaluate(app)
    assert titles(app) == ["New issue: ValueError: number 2"]
    assert client.delete(f"/api/alerts/rules/{own.json['id']}", json={}).status_code == 204


# ---- stores of earlier versions -----------------------------------------------------------------


def test_upgrade_shares_the_rules_nobody_changed_and_keeps_off_what_was_off(
    tmp_path: Path,
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0023")
    rule = (
        "INSERT INTO alert_rules (project_id, kind, preset, name, enabled, cooldown_minutes,"
        " filters, state, held, created_at) VALUES (:project, :kind, :preset, :name, :enabled, 5,"
        " :filters, 'ok', 0, '2026-01-01 00:00:00')"
    )
    new = {"kind": "new_issue", "preset": "new_errors", "name": "New error types"}
    new["filters"] = '{"level": "error"}'
    mine = {"kind": "regression", "preset": None, "name": "Mine", "filters": "{}"}
    with store.write() as conn:
        for name in ("Two", "Three"):
            row = "INSERT INTO projects (name, created_at) VALUES (:name, '2026-01-01 00:00:00')"
            conn.execute(text(row), {"name": name})
        for project, enabled in ((1, True), (2, True), (3, False)):
            conn.execute(text(rule), {**new, "project": project, "enabled": enabled})
        conn.execute(text(rule), {**mine, "project": 2, "enabled": False})
    store.migrate()
    ensure_presets(store)
    with store.read() as conn:
        on = {
            project: {one.preset for one in list_rules(conn, project) if one.enabled}
            for project in (1, 2, 3)
        }
        shared = [one for one in list_rules(conn) if one.preset == "new_errors"]
    assert [(one.project_id, one.enabled) for one in shared] == [(None, True), (3, False)]
    assert {state.project_id for state in shared[0].by_project} == {1, 2}
    assert {"new_errors", "regressions"} <= on[1] and "new_errors" in on[2]
    assert "regressions" not in on[2] and "new_errors" not in on[3] and "regressions" in on[3]
    store.dispose()
