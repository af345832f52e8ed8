"""Projects over the API: made, changed, keyed; the DSN of an upstream never comes out again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.projects import project_of_key
from tests.conftest import parts_of

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
UPSTREAM_KEY = "5ec2e7ca11ab1e0f5ec2e7ca11ab1e0f"
UPSTREAM = f"https://{UPSTREAM_KEY}:oldsecret99@o1.sentry.example:8443/prefix/77"
HOST = "https://o1.sentry.example:8443"


def make(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/api/projects", json={"name": "Shop", **body})


def wrong_fields(answer: TestResponse) -> list[str]:
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    return [error["field"] for error in answer.json["errors"]]


def opens(app: Flask, key: str) -> int | None:
    with parts_of(app).store.read() as conn:
        return project_of_key(conn, key)


def test_project_is_made_with_everything_and_read_again(app: Flask, client: FlaskClient) -> None:
    made = make(
        client, id=42, key=KEY, upstream_dsn=UPSTREAM, events_per_minute=600, retention_days=7
    )
    assert made.status_code == 201
    expected = {
        "id": 42,
        "name": "Shop",
        "dsn": f"http://{KEY}@127.0.0.1:8000/42",
        "keys": [KEY],
        "upstream": True,
        "upstream_host": HOST,
        "events_per_minute": 600,
        "retention_days": 7,
        "events": 0,
        "issues": 0,
        "refused_by_quota": 0,
    }
    for answer in (made, client.get("/api/projects/42")):
        assert {name: answer.json[name] for name in expected} == expected
    with parts_of(app).store.read() as conn:
        assert parts_of(app).destinations.find(conn, 42).dsn == UPSTREAM


def test_project_needs_nothing_but_a_name(app: Flask, client: FlaskClient) -> None:
    made = make(client).json
    assert (made["id"], made["upstream"], made["events_per_minute"]) == (2, False, None)
    assert opens(app, made["keys"][0]) == 2
    assert make(client).json["id"] == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": 7}, "name"),
        ({"id": 0}, "id"),
        ({"id": 2**31}, "id"),
        ({"id": "7"}, "id"),
        ({"key": "no key"}, "key"),
        ({"events_per_minute": -1}, "events_per_minute"),
        ({"events_per_minute": 10**9 + 1}, "events_per_minute"),
        ({"events_per_minute": True}, "events_per_minute"),
        ({"retention_days": -1}, "retention_days"),
        ({"retention_days": 36501}, "retention_days"),
        ({"upstream_dsn": ""}, "upstream_dsn"),
        ({"upstream_dsn": "https://o1.sentry.example/1"}, "upstream_dsn"),
        ({"upstream_dsn": f"https://{UPSTREAM_KEY}@host:{UPSTREAM_KEY}/1"}, "upstream_dsn"),
        ({"upstream_dsn": f"https://{UPSTREAM_KEY}@[host/1"}, "upstream_dsn"),
        ({"upstream_dsn": f"https://{UPSTREAM_KEY}@host/1\nX: y"}, "upstream_dsn"),
        ({"upstream_dsn": f"https://{UPSTREAM_KEY}@host/" + "1" * 2000}, "upstream_dsn"),
        ({"upstream_dsn": f"http://{UPSTREAM_KEY}@127.0.0.1:8000/1"}, "upstream_dsn"),
        ({"upstream_dsn": f"http://{UPSTREAM_KEY}@localhost:8000/any/where/1"}, "upstream_dsn"),
        ({"retention": 7}, "retention"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_made(
    client: FlaskClient, body: dict[str, Any], field: str
) -> None:
    before = client.get("/api/projects").json
    answer = make(client, **body)
    assert wrong_fields(answer) == [field]
    assert UPSTREAM_KEY not in answer.text
    assert client.get("/api/projects").json == before


def test_dsn_that_leads_here_is_known_by_the_public_address(make_app: Callable[..., Flask]) -> None:
    client = make_app(PUBLIC_URL="https://one.example/errors").test_client()
    for dsn in ("https://k@ONE.example/errors/1", "https://k@one.example:443/errors/deeper/1"):
        assert wrong_fields(make(client, upstream_dsn=dsn)) == ["upstream_dsn"]
    # Sentry itself may stand on the same host, or on this machine.
    for dsn in (
        "https://k@one.example/sentry/1",
        "https://k@one.example/1",
        "http://k@[::1]:9009/1",
    ):
        assert make(client, upstream_dsn=dsn).status_code == 201


def test_id_or_key_that_is_taken_is_a_conflict(client: FlaskClient) -> None:
    make(client, id=42, key=KEY)
    assert make(client, id=42).status_code == 409
    taken = make(client, id=43, key=KEY)
    assert taken.status_code == 409 and "taken" in taken.json["detail"]
    assert client.get("/api/projects/43").status_code == 404


def test_patch_changes_what_it_names_and_nothing_else(client: FlaskClient) -> None:
    make(client, id=42, upstream_dsn=UPSTREAM, events_per_minute=600, retention_days=7)
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": " Books "}, {"name": "Books", "upstream_host": HOST, "events_per_minute": 600}),
        ({"events_per_minute": 0}, {"events_per_minute": 0, "retention_days": 7}),
        ({"retention_days": None}, {"retention_days": None, "upstream": True}),
        ({"upstream_dsn": "http://k@127.0.0.1:9009/1"}, {"upstream_host": "http://127.0.0.1:9009"}),
        ({"upstream_dsn": None}, {"upstream": False, "upstream_host": None, "name": "Books"}),
        ({}, {"name": "Books"}),
    ]
    for body, expected in steps:
        answer = client.patch("/api/projects/42", json=body)
        assert answer.status_code == 200
        assert {name: answer.json[name] for name in expected} == expected
    assert wrong_fields(client.patch("/api/projects/42", json={"name": None})) == ["name"]


def test_dsn_of_this_application_is_a_setting(client: FlaskClient) -> None:
    answer = client.patch("/api/projects/1", json={"name": "Mine", "upstream_dsn": UPSTREAM})
    assert wrong_fields(answer) == ["upstream_dsn"]
    assert "SENTRY_DSN" in answer.json["errors"][0]["message"]
    assert client.get("/api/projects/1").json["name"] != "Mine"


def test_keys_are_made_and_revoked(app: Flask, client: FlaskClient) -> None:
    make(client, id=42, key=KEY)
    made = client.post("/api/projects/42/keys", json={})
    new = made.json["public_key"]
    assert made.status_code == 201
    assert made.json["dsn"] == f"http://{new}@127.0.0.1:8000/42"
    assert opens(app, KEY) == opens(app, new) == 42
    assert client.delete(f"/api/projects/42/keys/{KEY}", json={}).json["keys"] == [new]
    assert opens(app, KEY) is None
    assert client.delete(f"/api/projects/42/keys/{KEY}", json={}).status_code == 404
    last = client.post("/api/projects/42/keys", json={"revoke": True, "key": "taken-over_1"}).json
    assert client.get("/api/projects/42").json["keys"] == [last["public_key"]] == ["taken-over_1"]


def test_key_is_revoked_only_by_its_own_project(app: Flask, client: FlaskClient) -> None:
    make(client, id=42, key=KEY)
    assert client.delete(f"/api/projects/1/keys/{KEY}", json={}).status_code == 404
    assert opens(app, KEY) == 42
    assert client.post("/api/projects/1/keys", json={"key": KEY}).status_code == 409


@pytest.mark.parametrize("project_id", [7, 2**31, 10**30])
def test_unknown_project_is_404(client: FlaskClient, project_id: int) -> None:
    path = f"/api/projects/{project_id}"
    codes = [
        client.get(path).status_code,
        client.patch(path, json={"name": "x"}).status_code,
        client.post(f"{path}/keys", json={}).status_code,
        client.delete(f"{path}/keys/{KEY}", json={}).status_code,
    ]
    assert codes == [404] * 4


def test_figures_tell_what_came_and_what_the_quota_kept_out(
    app: Flask, client: FlaskClient
) -> None:
    make(client, id=42, key=KEY, events_per_minute=1)
    body = b'{}\n{"type":"event"}\n{"message":"one"}\n'
    codes = [
        client.post(f"/api/42/envelope/?sentry_key={KEY}", data=body).status_code for _ in range(3)
    ]
    parts_of(app).intake.flush()
    found = client.get("/api/projects/42").json
    # A minute may end between two of them.
    assert found["events"] == codes.count(200) and found["issues"] == 1
    assert found["refused_by_quota"] == codes.count(429) > 0
    assert found["first_seen"] and found["last_seen"]
    assert client.get("/api/projects/1").json["events"] == 0


def test_key_of_an_upstream_is_in_no_answer_page_or_log(
    app: Flask,
    client: FlaskClient,
    login: Callable[[FlaskClient], FlaskClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [make(client, id=42, key=KEY, upstream_dsn=UPSTREAM).text]
    texts.append(client.patch("/api/projects/42", json={"upstream_dsn": UPSTREAM}).text)
    texts.append(client.patch("/api/projects/42", json={"upstream_dsn": UPSTREAM + "x"}).text)
    paths = ["/api/projects", "/api/projects/42", "/system/status", "/openapi.json"]
    texts += [client.get(path).text for path in paths]
    login(client)
    pages = ["/admin/", "/admin/status", "/admin/projects", "/admin/projects/42"]
    for path in [*pages, "/admin/projects/42/setup", "/admin/projects/42/upstream/remove"]:
        page = client.get(path)
        assert page.status_code == 200, path
        texts.append(page.text)
    result = app.test_cli_runner().invoke(args=["project", "list"])
    texts += [result.output, caplog.text, repr(parts_of(app).destinations.__dict__)]
    for text in texts:
        assert UPSTREAM_KEY not in text and "oldsecret99" not in text
    assert HOST in texts[0]
