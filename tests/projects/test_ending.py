"""Projects are archived, restored and deleted; nothing of a deleted project is left."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select

from app.delivery.accounting import accounting
from app.events.tables import envelopes
from app.intake.removed_projects import awaiting_removal, owned_rows
from app.issues.tables import issues
from app.project_service.changing import amend
from app.projects import KeyRing, create_project, delete_project, projects
from app.projects.records import KEY_CACHE_S
from app.store import metadata
from tests.conftest import csrf_token, parts_of, worker_of

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
UPSTREAM = "https://5ec2e7ca11ab1e0f@o1.sentry.example/77"
# What SDKs send: errors, user feedback, sessions, transactions, metrics, check-ins, losses.
ITEMS: list[tuple[str, Any]] = [
    ("event", {"message": "the till is open", "user": {"id": "7"}, "tags": {"shelf": "a7"}}),
    ("transaction", {"type": "transaction", "transaction": "pay", "contexts": {}, "spans": []}),
    (
        "session",
        {"sid": uuid.uuid4().hex, "init": True, "attrs": {"release": "shop@1"}, "did": "7"},
    ),
    ("client_report", {"discarded_events": [{"reason": "x", "category": "error", "quantity": 2}]}),
    ("check_in", {"check_in_id": uuid.uuid4().hex, "monitor_slug": "nightly", "status": "ok"}),
]


@pytest.fixture
def report(app: Flask) -> Callable[..., int]:
    """Send each kind of item to project 42, once."""

    def send() -> int:
        codes = []
        for kind, payload in ITEMS:
            now = {"timestamp": time.time(), "start_timestamp": time.time() - 1, "started": _now()}
            whole = {**now, "event_id": uuid.uuid4().hex, "release": "shop@1", **payload}
            lines = [{"event_id": whole["event_id"]}, {"type": kind}, whole]
            body = "\n".join(map(json.dumps, lines))
            path = f"/api/42/envelope/?sentry_key={KEY}"
            codes.append(app.test_client().post(path, data=body).status_code)
        assert len(set(codes)) == 1
        return codes[0]

    return send


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.fixture
def shop(app: Flask, report: Callable[..., int]) -> int:
    """Make project 42 with some of everything, half of it for Sentry."""
    parts = parts_of(app)
    create_project(parts.store, "Shop", 42, KEY)
    assert report() == 200
    amend(parts.store, parts.config, 42, {"upstream_dsn": UPSTREAM})
    assert report() == 200
    parts.intake.flush()
    return 42


def rows_of(app: Flask, project_id: int) -> dict[str, int]:
    """Return how many rows of a project each table has."""
    with parts_of(app).store.read() as conn:
        counts = {
            table.name: conn.scalar(select(func.count()).select_from(table).where(condition))
            for table, condition in owned_rows(project_id)
        }
    return {name: count for name, count in counts.items() if count}


def test_archived_project_refuses_and_stays_readable_until_it_is_restored(
    app: Flask, client: FlaskClient, shop: int, report: Callable[..., int]
) -> None:
    assert client.post("/api/projects/42/archive", json={}).json["archived_at"]
    forget_keys(app)
    assert report() == 403
    assert client.get("/api/issues?project_id=42").json["issues"]
    assert client.post("/api/projects/42/restore", json={}).json["archived_at"] is None
    forget_keys(app)
    assert report() == 200


def forget_keys(app: Flask) -> None:
    """Let the second pass for which processes remember keys."""
    ring: KeyRing = parts_of(app).keys
    ring._known.clear()
    assert KEY_CACHE_S <= 1


def test_deleted_project_disappears_at_once_and_leaves_nothing(
    app: Flask, client: FlaskClient, shop: int, report: Callable[..., int]
) -> None:
    held = rows_of(app, shop)
    some = {"envelopes", "events", "issues", "releases", "destinations", "project_keys"}
    assert some <= set(held)
    assert client.delete("/api/projects/42").status_code == 202
    forget_keys(app)
    assert client.get("/api/projects/42").status_code == 404 and report() == 403
    worker = worker_of(app)
    worker.run_once()
    assert rows_of(app, shop) == {} and awaiting_removal(parts_of(app).store) == []
    with parts_of(app).store.read() as conn:
        assert accounting(conn)["balanced"]
        assert conn.scalar(select(projects.c.name).where(projects.c.id == 42)) == ""
    text = client.get("/metrics").text
    assert 'project="42"' not in text


def test_id_of_a_deleted_project_is_never_used_again(app: Flask, client: FlaskClient) -> None:
    store = parts_of(app).store
    create_project(store, "Shop", 42)
    delete_project(store, 42)
    worker_of(app).run_once()
    assert client.post("/api/projects", json={"name": "Books"}).json["id"] == 43
    assert client.post("/api/projects", json={"name": "Books", "id": 42}).status_code == 409


def test_every_table_that_names_a_project_is_removed_with_it() -> None:
    owned = {table.name for table, _ in owned_rows(42)}
    named = {
        table.name
        for table in metadata.sorted_tables
        if any(key.column.table is projects for key in table.foreign_keys)
    }
    assert named <= owned and {"timings", "notice_attempts", "session_counts"} <= owned


def test_other_projects_keep_all_they_have(
    app: Flask, client: FlaskClient, shop: int, report: Callable[..., int]
) -> None:
    store = parts_of(app).store
    create_project(store, "Books", 43, KEY[::-1])
    client.post(f"/api/43/envelope/?sentry_key={KEY[::-1]}", data='{}\n{"type":"event"}\n{}\n')
    worker = worker_of(app)
    worker.run_once()
    before = rows_of(app, 43)
    delete_project(store, 42)
    worker.run_once()
    assert rows_of(app, 43) == before
    with store.read() as conn:
        left = conn.scalars(select(envelopes.c.project_id)).all()
        assert set(left) == {43} == set(conn.scalars(select(issues.c.project_id)).all())


@pytest.mark.one_database
def test_this_application_is_neither_archived_nor_deleted(
    client: FlaskClient, runner: FlaskCliRunner, admin_client: FlaskClient
) -> None:
    assert client.post("/api/projects/1/archive", json={}).status_code == 409
    assert client.delete("/api/projects/1").status_code == 409
    assert client.delete("/api/projects/9").status_code == 404
    assert admin_client.get("/admin/projects/1/end").status_code == 404
    for command in ("archive", "delete"):
        done = runner.invoke(args=["project", command, "1", *(["--yes"] * (command == "delete"))])
        assert done.exit_code == 2 and "project 1 is this application" in done.output


@pytest.mark.one_database
def test_command_says_what_goes_and_asks(app: Flask, runner: FlaskCliRunner, shop: int) -> None:
    asked = runner.invoke(args=["project", "delete", "42"], input="n\n")
    assert asked.exit_code == 1
    assert "Shop: 2 events in 1 issue; 5 envelopes not at Sentry yet." in asked.output
    assert rows_of(app, 42)
    assert runner.invoke(args=["project", "archive", "42"]).exit_code == 0
    assert "Shop, archived" in runner.invoke(args=["project", "list"]).output
    assert runner.invoke(args=["project", "restore", "42"]).exit_code == 0
    done = runner.invoke(args=["project", "delete", "42", "--yes"])
    assert done.exit_code == 0 and "project 42 is deleted" in done.output
    assert rows_of(app, 42) == {}


@pytest.mark.one_database
def test_page_asks_for_the_name_before_it_deletes(
    app: Flask, admin_client: FlaskClient, shop: int
) -> None:
    path = "/admin/projects/42/end"
    token = csrf_token(admin_client, path)
    assert "2 events in 1 issue" in admin_client.get(path).text
    form = {"csrf_token": token, "action": "delete"}
    wrong = admin_client.post(path, data={**form, "name": "shop"})
    assert wrong.status_code == 422 and "Nothing was deleted" in wrong.text
    archived = admin_client.post(path, data={**form, "action": "archive"})
    assert "/projects/42/restore" in admin_client.get(archived.location).text
    restored = admin_client.post("/admin/projects/42/restore", data={"csrf_token": token})
    assert "/projects/42/restore" not in admin_client.get(restored.location).text
    gone = admin_client.post(path, data={**form, "name": "Shop"})
    assert gone.status_code == 303
    assert "Shop</a>" not in admin_client.get("/admin/projects").text
    assert admin_client.get("/admin/issues?status=all").status_code == 200
