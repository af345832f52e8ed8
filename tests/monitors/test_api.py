"""Monitors over the API: made, changed, paused and deleted; who wins, a person or a program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.monitors import recording
from app.monitors.queries import find_monitor, latest_runs
from app.projects import create_project
from tests.conftest import parts_of
from tests.monitors.steps import CONFIG, check_in, monitor_of, send, statuses, watch

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PATH = "/api/monitors/nightly?project_id=1"
HOURLY = {"type": "interval", "value": 1, "unit": "hour"}


def test_monitor_of_a_person_waits_for_its_first_check_in(app: Flask, client: FlaskClient) -> None:
    body = {"project_id": 1, "slug": "nightly", "schedule": HOURLY, "checkin_margin": 5}
    with time_machine.travel(NOON, tick=False) as clock:
        made = client.post("/api/monitors", json=body)
        assert made.status_code == 201
        assert (made.json["status"], made.json["next_expected"]) == ("waiting", None)
        clock.shift(timedelta(days=1))
        watch(app)
        assert monitor_of(client)["status"] == "waiting"
        send(app, check_in())
        assert monitor_of(client)["next_expected"] == "2026-11-26T13:00:00Z"
    assert client.post("/api/monitors", json=body).status_code == 409


def test_what_a_person_set_stays_until_it_is_given_back(app: Flask, client: FlaskClient) -> None:
    send(app, check_in(monitor_config=CONFIG))
    changed = client.patch(PATH, json={"schedule": HOURLY, "max_runtime": 90}).json
    assert (changed["managed_by"], changed["max_runtime"]) == ("person", 90)
    send(app, check_in(monitor_config=CONFIG))
    assert monitor_of(client)["schedule"] == HOURLY
    assert client.patch(PATH, json={"managed_by": "sdk"}).json["schedule"] == HOURLY
    send(app, check_in(monitor_config=CONFIG))
    assert monitor_of(client)["schedule"]["value"] == "0 2 * * *"
    assert client.patch(PATH, json={"name": "Nightly report"}).json["managed_by"] == "sdk"
    entries = client.get("/api/audit").json["entries"]
    assert [entry["action"] for entry in entries][:3] == ["monitor_changed"] * 3


def test_changed_schedule_is_expected_at_once(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False):
        send(app, check_in(monitor_config=CONFIG))
        assert monitor_of(client)["next_expected"] == "2026-11-26T01:00:00Z"
        assert client.patch(PATH, json={"timezone": "Asia/Kolkata"}).json["next_expected"] == (
            "2026-11-25T20:30:00Z"
        )
        assert client.patch(PATH, json={"schedule": None}).json["next_expected"] is None


def test_paused_monitor_says_so_and_starts_anew(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        send(app, check_in(status="error", monitor_config=CONFIG))
        paused = client.patch(PATH, json={"paused": True}).json
        assert (paused["status"], paused["next_expected"]) == ("paused", None)
        clock.shift(timedelta(days=3))
        watch(app)
        send(app, check_in(status="error"))
        assert monitor_of(client)["status"] == "paused"
        again = client.patch(PATH, json={"paused": False}).json
        assert (again["status"], again["next_expected"]) == ("waiting", "2026-11-29T01:00:00Z")
        assert statuses(client) == ["error", "error"]


def test_deleted_monitor_comes_back_with_its_next_check_in(app: Flask, client: FlaskClient) -> None:
    send(app, check_in(status="error"))
    assert client.delete(PATH).status_code == 204
    for answer in (client.get(PATH), client.delete(PATH), client.patch(PATH, json={})):
        assert answer.status_code == 404
    send(app, check_in())
    assert statuses(client) == ["ok"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"slug": "!"}, "slug"),
        ({"slug": "x" * 201}, "slug"),
        ({"schedule": {"type": "crontab", "value": "99 * * * *"}}, "schedule"),
        ({"schedule": {"type": "interval", "value": 5}}, "schedule"),
        ({"schedule": {"type": "never", "value": 5}}, "schedule.type"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"checkin_margin": 0}, "checkin_margin"),
        ({"max_runtime": 40_321}, "max_runtime"),
        ({"failure_issue_threshold": "3"}, "failure_issue_threshold"),
        ({"project_id": 7}, "project_id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_field_is_named(client: FlaskClient, fields: dict, field: str) -> None:
    answer = client.post("/api/monitors", json={"project_id": 1, "slug": "nightly"} | fields)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    if field not in ("slug", "project_id"):
        client.post("/api/monitors", json={"project_id": 1, "slug": "nightly"})
        answer = client.patch(PATH, json=fields)
        assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.one_database
def test_time_zone_is_answered_as_its_database_spells_it(app: Flask, client: FlaskClient) -> None:
    body = {"project_id": 1, "slug": "nightly", "timezone": "europe/berlin"}
    assert client.post("/api/monitors", json=body).json["timezone"] == "Europe/Berlin"
    assert client.patch(PATH, json={"timezone": "utc"}).json["timezone"] == "UTC"
    send(app, check_in("other", monitor_config=CONFIG | {"timezone": "asia/KOLKATA"}))
    assert monitor_of(client, "other")["timezone"] == "Asia/Kolkata"


@pytest.mark.one_database
def test_lists_go_on_where_a_page_ended(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_project(parts_of(app).store, "Shop")
    send(app, check_in("other"), project_id=2)
    send(app, *[check_in(f"job-{n}") for n in range(3)])
    send(app, *[check_in("job-0", environment=f"e{n}") for n in range(4)])
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(
            f"/api/monitors?project_id=1&limit=2{cursor and f'&cursor={cursor}'}"
        ).json
        found, cursor = found + [one["slug"] for one in page["monitors"]], page["next"]
    assert found == ["job-0", "job-1", "job-2"]
    assert len(client.get("/api/monitors").json["monitors"]) == 4
    runs, cursor = [], ""
    path = "/api/monitors/job-0/checkins?project_id=1&limit=2"
    while cursor is not None:
        page = client.get(path + (cursor and f"&cursor={cursor}")).json
        runs, cursor = runs + [run["environment"] for run in page["checkins"]], page["next"]
    assert runs == ["e3", "e2", "e1", "e0", "production"]
    assert client.get("/api/monitors/job-0").json["errors"][0]["field"] == "project_id"
    monkeypatch.setattr("app.monitors.changes.MAX_MONITORS", 3)
    full = client.post("/api/monitors", json={"project_id": 1, "slug": "one-more"})
    assert "at most" in full.json["errors"][0]["message"]
    assert recording.MAX_MONITORS == 500


def test_newest_runs_of_each_environment_are_found_whoever_runs_more_often(
    app: Flask, client: FlaskClient
) -> None:
    ids = [f"{n + 1:032x}" for n in range(12)]
    busy = [check_in(check_in_id=id, environment="busy") for id in ids]
    rare = [check_in(check_in_id=ids[n], environment="rare") for n in range(3)]
    send(app, rare[0], *busy[:6], rare[1], *busy[6:], rare[2])
    found, cursor, path = [], "", "/api/monitors/nightly/checkins?project_id=1&limit=4"
    while cursor is not None:
        page = client.get(path + (cursor and f"&cursor={cursor}")).json
        found += [(run["environment"], run["check_in_id"]) for run in page["checkins"]]
        cursor = page["next"]
    sent = [rare[0], *busy[:6], rare[1], *busy[6:], rare[2]]
    assert found == [(one["environment"], one["check_in_id"]) for one in reversed(sent)]
    store = parts_of(app).store
    with store.read() as conn:
        states = find_monitor(conn, 1, "nightly", NOON).environments
        latest = latest_runs(conn, [one.id for one in states], 5)
    of_store = {one.environment: len(latest[one.id]) for one in states}
    assert of_store == {"busy": 5, "rare": 3}
    with store.read() as conn:
        assert latest_runs(conn, [], 5) == {}
