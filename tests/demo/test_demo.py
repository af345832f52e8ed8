"""`flask demo`: made, seen in the pages, left out of delivery, alerts and accounting, removed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select

from app.alerts.issue_alerts import dispatch_issue_alerts
from app.alerts.monitor_alerts import dispatch_monitor_alerts
from app.alerts.rules.changes import ensure_presets
from app.alerts.tables import notices
from app.demo.filling import demo_projects, make_demo, remove_demo
from app.demo.plan import DAYS, PROJECTS, Plan
from app.events.tables import envelopes, events
from app.intake.removed_projects import owned_rows
from app.issues.tables import issues
from app.store import utc_now
from tests.conftest import parts_of, worker_of
from tests.traces.steps import settle

EVENTS = 60


@pytest.fixture
def demo(app: Flask) -> list[int]:
    parts = parts_of(app)
    make_demo(parts.intake, Plan(EVENTS, bugs=30))
    with parts.store.read() as conn:
        return demo_projects(conn)


def test_demo_has_events_of_three_months_and_decided_issues(app: Flask, demo: list[int]) -> None:
    with parts_of(app).store.read() as conn:
        first, last, count = conn.execute(
            select(func.min(events.c.timestamp), func.max(events.c.timestamp), func.count())
        ).one()
        counted = select(issues.c.status, func.count()).group_by(issues.c.status)
        statuses = {status: count for status, count in conn.execute(counted)}
    assert (count, len(demo), sum(statuses.values())) == (EVENTS, len(PROJECTS), 30)
    assert timedelta(days=DAYS) >= utc_now() - first > timedelta(days=DAYS / 2)
    assert last <= utc_now() and statuses["resolved"] and statuses["ignored"]


def test_demo_is_neither_forwarded_nor_alerted_nor_counted(
    app: Flask, client: FlaskClient, demo: list[int]
) -> None:
    worker = worker_of(app)
    worker.run_once()
    ensure_presets(parts_of(app).store)
    dispatch_issue_alerts(parts_of(app).store, utc_now())
    books = client.get("/system/status").json["accounting"]
    assert books["balanced"] and books["accepted"] == 0
    with parts_of(app).store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(notices)) == 0
        assert set(conn.scalars(select(envelopes.c.state))) == {"demo"}
    path = f"/api/projects/{demo[0]}"
    refused = client.patch(path, json={"upstream_dsn": "https://key@sentry.example/1"})
    assert refused.status_code == 422 and "never forwarded" in refused.text
    delivery = client.get("/api/deliveries?state=demo").json["deliveries"][0]["id"]
    assert client.post(f"/api/deliveries/{delivery}/replay", json={}).status_code == 409


def test_chart_of_the_issues_has_the_events_of_the_issues_below_it(
    app: Flask, admin_client: FlaskClient, demo: list[int]
) -> None:
    path = "/admin/issues?period=quarter&status=all"
    assert f'aria-label="{EVENTS} events;' in admin_client.get(path).text
    page = admin_client.get(f"{path}&project={demo[0]}").text
    rows = re.findall(r'<td class="num">(\d+)</td>\s*<td class="num">', page)
    assert rows and f'aria-label="{sum(map(int, rows))} events;' in page
    worker_of(app).run_once()  # Counts them by the hour, and now from there.
    assert f'aria-label="{EVENTS} events;' in admin_client.get(path).text


@pytest.mark.one_database
def test_newest_errors_have_a_trace_and_logs(
    app: Flask, admin_client: FlaskClient, demo: list[int]
) -> None:
    settle(app)
    lines = admin_client.get("/api/logs?period=quarter&query=failed").json["logs"]
    assert lines and lines[0]["project_id"] in demo
    trace = admin_client.get(f"/api/traces/{lines[0]['trace_id']}").json
    assert len(trace["transactions"]) == 2 and len(trace["spans"]) > 5
    assert [event["project_id"] for event in trace["events"]] == [lines[0]["project_id"]]


@pytest.mark.one_database
def test_monitors_of_a_demo_show_every_state_and_alert_nobody(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, demo: list[int]
) -> None:
    found = client.get("/api/monitors").json["monitors"]
    assert {one["slug"]: one["status"] for one in found} == {
        "nightly-report": "ok",
        "import-orders": "error",
        "send-invoices": "late",
        "sync-inventory": "ok",
        "backup-database": "missed",
        "clear-carts": "paused",
        "rotate-keys": "waiting",
    }
    path = f"/api/monitors/import-orders/checkins?project_id={demo[0]}&limit=100"
    runs = client.get(path).json["checkins"]
    assert [run["status"] for run in runs[:3]] == ["error", "error", "ok"]
    assert sum(run["status"] == "missed" for run in runs) == 1
    settle(app)
    page = admin_client.get(f"/admin/monitors/{demo[0]}/import-orders").text
    assert "Errors of the failed run" in page
    ensure_presets(parts_of(app).store)
    assert dispatch_monitor_alerts(parts_of(app).store, utc_now()) == 0


def test_removed_demo_leaves_nothing(app: Flask, client: FlaskClient, demo: list[int]) -> None:
    parts = parts_of(app)
    assert remove_demo(parts.store, parts.destinations) == len(PROJECTS)
    with parts.store.read() as conn:
        left = {
            table.name
            for project_id in demo
            for table, condition in owned_rows(project_id)
            if conn.scalar(select(func.count()).select_from(table).where(condition))
        }
    assert left == set() and client.get("/system/status").json["accounting"]["balanced"]
    assert [one["id"] for one in client.get("/api/projects").json["projects"]] == [1]


def test_a_seed_makes_the_same_demo() -> None:
    assert list(Plan(EVENTS, seed=7).occurrences()) == list(Plan(EVENTS, seed=7).occurrences())
    assert list(Plan(EVENTS, seed=7).occurrences()) != list(Plan(EVENTS, seed=8).occurrences())


@pytest.mark.one_database
def test_command_makes_and_removes_it_once(runner: FlaskCliRunner, client: FlaskClient) -> None:
    made = runner.invoke(args=["demo", "--events", "40"])
    assert made.exit_code == 0 and "40 events of 90 days in 20 projects" in made.output
    # They can be searched for at once.
    assert client.get("/api/issues?query=level:[error,fatal]").json["issues"]
    again = runner.invoke(args=["demo"])
    assert again.exit_code == 1 and "there is a demo already" in again.output
    gone = runner.invoke(args=["demo", "--remove"])
    assert gone.exit_code == 0 and "20 demo projects are removed" in gone.output
    assert client.get("/api/issues").json["issues"] == []
    nothing = runner.invoke(args=["demo", "--remove"])
    assert nothing.exit_code == 1 and "there is no demo" in nothing.output
