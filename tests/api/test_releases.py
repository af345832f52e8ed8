"""/api/releases and `flask release`: what there is, page by page, and what is announced."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from app.projects import create_project
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.insights.visits import Update, envelope

SHOP = 7
PATH = f"/api/releases?project_id={SHOP}"
ODD = "shop/web@1.0.0-rc.1+b%2F7 ?#&"


@pytest.fixture
def shop(app: Flask) -> Flask:
    create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
    for number, version in enumerate(["shop@1", ODD, "shop@2"]):
        for bug in range(number + 1):
            who = {"id": f"u{bug}"}
            payload = {"message": "abc"[number], "release": version, "user": who}
            insert(app, payload, SHOP)
    return app


def visit(app: Flask, release: str, crashed: int, fine: int, users: int) -> None:
    """Have sessions come in by so many users, of whom the first ones have those that crash."""
    for number in range(crashed + fine):
        status = "crashed" if number < crashed else "exited"
        update = Update(uuid.uuid4().hex, release, did=f"u{number % users}", status=status)
        parts_of(app).intake.accept(envelope(update.item()), project_id=SHOP, timeout_s=10)


def test_list_tells_what_each_release_brought_the_newest_first(
    shop: Flask, client: FlaskClient
) -> None:
    visit(shop, ODD, crashed=1, fine=9, users=10)
    visit(shop, "shop@2", crashed=2, fine=38, users=10)
    visit(shop, "shop@3", crashed=0, fine=1, users=1)
    page = client.get(PATH).json
    assert (page["total"], page["next"]) == (4, None)
    # One that only its sessions name is there, too.
    assert [(one["version"], one["users"]) for one in page["releases"]] == [
        ("shop@3", 0), ("shop@2", 3), (ODD, 2), ("shop@1", 1),
    ]  # fmt: skip
    newest = page["releases"][1]
    brought = [newest[f"{kind}_issues"] for kind in ("new", "regressed", "resolved")]
    assert brought == [1, 0, 0]
    assert (newest["crash_free_sessions"], newest["crash_free_users"]) == (0.95, 0.8)
    assert (newest["release_before"], newest["crash_free_sessions_before"]) == (ODD, 0.9)
    assert newest["share"] == pytest.approx(40 / 51)
    assert page["releases"][3]["crash_free_sessions"] is None


def test_pages_follow_each_other_and_a_version_is_found_by_its_name(
    shop: Flask, client: FlaskClient
) -> None:
    names, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{PATH}&limit=1{cursor}").json
        names += [one["version"] for one in page["releases"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert names == ["shop@2", ODD, "shop@1"]
    query = {"project_id": SHOP, "version": ODD}
    (found,) = client.get("/api/releases", query_string=query).json["releases"]
    detail = client.get(f"/api/releases/{found['id']}").json
    assert (detail["version"], detail["release_before"]) == (ODD, "shop@1")
    assert [one["users"] for one in detail["users_by_day"][-2:]] == [0, 2]
    assert len(detail["users_by_day"]) == 30
    assert client.get("/api/releases?version=none").json["releases"] == []
    assert client.get("/api/releases/77").status_code == 404
    assert client.get(f"/api/releases/{10**30}").status_code == 404


def test_issue_tells_its_users_by_day(shop: Flask, client: FlaskClient) -> None:
    (issue,) = client.get(f"/api/issues?project_id={SHOP}&release=shop@2").json["issues"]
    days = client.get(f"/api/issues/{issue['id']}/users").json["users"]
    assert (len(days), [day["users"] for day in days[-2:]], issue["users"]) == (30, [0, 3], 3)
    assert client.get("/api/issues/77/users").status_code == 404


def test_announcing_makes_a_release_once(shop: Flask, client: FlaskClient) -> None:
    body = {"version": "shop@3", "project_id": SHOP}
    made = client.post("/api/releases", json=body)
    assert (made.status_code, made.json["first_seen"]) == (201, None)
    assert made.json["announced_by"]
    again = client.post("/api/releases", json=body)
    assert (again.status_code, again.json) == (200, made.json)
    assert client.get(PATH).json["releases"][0] == {
        name: value for name, value in made.json.items() if name != "users_by_day"
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "version"),
        ({"version": ""}, "version"),
        ({"version": "a" * 251}, "version"),
        ({"version": "a\nb"}, "version"),
        ({"version": 5}, "version"),
        ({"version": "x", "project_id": 77}, "project_id"),
        ({"version": "x", "project_id": 10**30}, "project_id"),
        ({"version": "x", "url": "y"}, "url"),
    ],
)
def test_wrong_announcement_is_named(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    answer = client.post("/api/releases", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


@pytest.mark.parametrize("query", ["limit=0", "cursor=x", "project_id=0", "version=", "colour=red"])
def test_wrong_parameter_is_named(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/releases?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


def test_commands_announce_and_list(shop: Flask, runner: FlaskCliRunner) -> None:
    def run(*arguments: str) -> str:
        result = runner.invoke(args=["release", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "is announced" in run("create", "shop@3", "--project", str(SHOP))
    assert "is known already" in run("create", "shop@3", "--project", str(SHOP))
    lines = run("list", "--project", str(SHOP)).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["shop@3", "shop@2", ODD, "shop@1"]
    assert "1 new, 0 regressed, 0 resolved, 3 users" in lines[1]
    assert run("list") == ""
    assert "Announce a release" in run("create", "--help")
    for wrong in (["create", " "], ["create", "x", "--project", "77"], ["list", "--limit", "0"]):
        assert runner.invoke(args=["release", *wrong]).exit_code == 2
