"""Projects and keys: made, renamed, rotated, revoked, listed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from app.delivery.tables import destinations
from app.projects import ProjectError, create_project, dsn_of, project_of_key, revoke_key
from tests.conftest import parts_of

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
UPSTREAM = "https://5ec2e7ca11ab1e0f@o1.sentry.example/77"


def opens(app: Flask, key: str) -> int | None:
    with parts_of(app).store.read() as conn:
        return project_of_key(conn, key)


def test_new_project_is_printed_with_a_dsn_that_opens_it(
    app: Flask, runner: FlaskCliRunner
) -> None:
    done = runner.invoke(args=["project", "create", "Shop"])
    assert done.exit_code == 0
    found = re.search(r"http://([0-9a-f]{32})@127\.0\.0\.1:8000/2\n", done.output)
    assert found and opens(app, found[1]) == 2


def test_project_is_taken_over_with_its_id_and_key(app: Flask, runner: FlaskCliRunner) -> None:
    done = runner.invoke(args=["project", "create", "Shop", "--id", "42", "--key", KEY])
    assert f"{KEY}@127.0.0.1:8000/42" in done.output
    assert opens(app, KEY) == 42
    assert "43" in runner.invoke(args=["project", "create", "Next"]).output


@pytest.mark.parametrize(
    "args",
    [
        ["create", "Again", "--id", "1"],
        ["create", "Shop", "--id", "0"],
        ["create", "Shop", "--id", str(2**31)],
        ["create", "Shop", "--key", "no key"],
        ["create", "  "],
        ["create", "x" * 201],
        ["rename", "9", "Shop"],
        ["rotate", "9"],
        ["revoke", "1", KEY],
        ["revoke", str(2**40), KEY],
        ["upstream", "9", "--none"],
        ["upstream", "1", UPSTREAM],
        ["upstream", "1", "no-dsn"],
        ["upstream", "1", UPSTREAM, "--none"],
        ["quota", "1", "-1"],
        ["quota", "9", "1"],
        ["retention", "1", "40000"],
        ["retention", str(2**40), "1"],
    ],
)
def test_what_cannot_be_done_says_so_and_changes_nothing(
    app: Flask, client: FlaskClient, runner: FlaskCliRunner, args: list[str]
) -> None:
    before = client.get("/api/projects").json
    done = runner.invoke(args=["project", *args])
    assert done.exit_code == 2 and "Error: " in done.output
    assert client.get("/api/projects").json == before


def test_key_of_another_project_cannot_be_taken(app: Flask) -> None:
    store = parts_of(app).store
    create_project(store, "Shop", key=KEY)
    with pytest.raises(ProjectError, match="taken"):
        create_project(store, "Thief", key=KEY)


def test_old_key_works_until_it_is_revoked(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["project", "create", "Shop", "--id", "42", "--key", KEY])
    printed = runner.invoke(args=["project", "rotate", "42"]).output
    new = re.search(r"//([0-9a-f]{32})@", printed)
    assert new and opens(app, new[1]) == opens(app, KEY) == 42
    assert runner.invoke(args=["project", "revoke", "42", KEY]).exit_code == 0
    assert opens(app, KEY) is None
    assert opens(app, new[1]) == 42


def test_rotating_with_revoke_leaves_only_the_new_key(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["project", "create", "Shop", "--id", "42", "--key", KEY])
    runner.invoke(args=["project", "rotate", "42", "--revoke", "--key", "c" * 32])
    assert opens(app, KEY) is None
    assert opens(app, "c" * 32) == 42


def test_revoked_key_is_noticed_by_a_ring_that_knew_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Shop", 42, KEY)
    assert parts.keys.project_of(KEY) == 42
    revoke_key(parts.store, 42, KEY)
    now = parts.keys._known[KEY][1]
    monkeypatch.setattr("app.projects.records.time.monotonic", lambda: now)
    assert parts.keys.project_of(KEY) is None


def test_projects_are_listed_with_their_dsn(
    make_app: Callable[..., Flask], runner: FlaskCliRunner
) -> None:
    app = make_app(SENTRY_DSN="http://key@127.0.0.1:9/1", PUBLIC_URL="https://errors.example/base/")
    store = parts_of(app).store
    create_project(store, "Shop", 42, KEY)
    create_project(store, "Blog", 43, "b" * 32)
    row = {"project_id": 43, "dsn": "https://k@sentry.example/1", "limits": {}}
    with store.write() as conn:
        conn.execute(destinations.insert().values(row))
    found = {one["id"]: one for one in app.test_client().get("/api/projects").json["projects"]}
    assert [found[i]["upstream"] for i in (1, 42, 43)] == [True, False, True]
    assert found[42]["dsn"] == f"https://{KEY}@errors.example/base/42"
    assert found[1]["dsn"]


def test_renamed_project_is_listed_by_its_new_name(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["project", "rename", "1", "This one"]).exit_code == 0
    assert "1  This one\n" in runner.invoke(args=["project", "list"]).output


def test_command_sets_upstream_quota_and_days_of_a_project(
    app: Flask, client: FlaskClient, runner: FlaskCliRunner
) -> None:
    create_project(parts_of(app).store, "Shop", 42, KEY)
    asked = runner.invoke(args=["project", "upstream", "42"], input=f"{UPSTREAM}\n")
    outputs = [asked.output]
    for args in (["quota", "42", "600"], ["retention", "42", "7"], ["list"]):
        done = runner.invoke(args=["project", *args])
        assert done.exit_code == 0, done.output
        outputs.append(done.output)
    assert "5ec2e7ca11ab1e0f" not in "".join(outputs)
    for line in ("sent on to https://o1.sentry.example", "at most 600", "kept for 7 days"):
        assert line in outputs[-1]
    found = client.get("/api/projects/42").json
    assert (found["upstream"], found["events_per_minute"], found["retention_days"]) == (
        True,
        600,
        7,
    )
    runner.invoke(args=["project", "upstream", "42", "--none"])
    runner.invoke(args=["project", "quota", "42", "0"])
    shown = runner.invoke(args=["project", "retention", "42"]).output
    assert shown == f"42  Shop\n    http://{KEY}@127.0.0.1:8000/42\n"


@pytest.mark.parametrize("command", ["create", "upstream", "quota", "retention", "rotate"])
def test_help_of_a_command_says_what_it_does(runner: FlaskCliRunner, command: str) -> None:
    done = runner.invoke(args=["project", command, "--help"])
    assert done.exit_code == 0 and len(done.output.splitlines()) > 5


def test_dsn_keeps_port_and_path_of_the_public_url() -> None:
    assert dsn_of("http://host:8000", 1, "k") == "http://k@host:8000/1"
    assert dsn_of("https://host/sub/path", 2, "k") == "https://k@host/sub/path/2"
