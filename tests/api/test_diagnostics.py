"""/test-error and /sentry-debug: errors on request."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import parts_of

pytestmark = pytest.mark.one_database


def trigger(client: FlaskClient, **body: object):
    return client.post("/test-error", json=body)


@pytest.mark.parametrize(
    ("body", "status", "title", "level"),
    [
        ({"error_type": "message"}, 200, "hello", "info"),
        ({"error_type": "exception"}, 500, "TestError: hello", "error"),
        ({"error_type": "http"}, 500, "InternalServerError: 500 Internal", "error"),
        ({"error_type": "http", "status_code": 404}, 404, "NotFound: 404 Not Found", "error"),
        ({"error_type": "http", "status_code": 499}, 499, "HTTPException: 499", "error"),
        ({"error_type": "http", "status_code": 503}, 503, "ServiceUnavailable: 503", "error"),
        ({"error_type": "http", "status_code": 599}, 599, "HTTPException: 599", "error"),
    ],
)
def test_every_kind_answers_its_status_and_is_recorded_once(
    client: FlaskClient, body: dict[str, object], status: int, title: str, level: str
) -> None:
    answer = trigger(client, message="hello", user_id="u-1", **body)
    assert answer.status_code == status
    event_id = answer.json["event_id"]
    assert answer.json["links"] == {
        "event": f"/api/events/{event_id}",
        "trail": f"/admin/events/{event_id}",
    }
    events = client.get("/api/events").json["events"]
    assert [event["event_id"] for event in events] == [event_id]
    event = client.get(answer.json["links"]["event"]).json
    assert event["title"].startswith(title)
    assert (event["level"], event["user"]["id"]) == (level, "u-1")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "error_type"),
        ({"error_type": "message"}, "message"),
        ({"error_type": "boom", "message": "x"}, "error_type"),
        ({"error_type": "message", "message": 7}, "message"),
        ({"error_type": "message", "message": "x" * 8193}, "message"),
        ({"error_type": "message", "message": "x", "user_id": 5}, "user_id"),
        ({"error_type": "message", "message": "x", "user_id": "u" * 201}, "user_id"),
        ({"error_type": "http", "message": "x", "status_code": 200}, "status_code"),
        ({"error_type": "http", "message": "x", "status_code": 600}, "status_code"),
        ({"error_type": "http", "message": "x", "status_code": "500"}, "status_code"),
        ({"error_type": "http", "message": "x", "status_code": True}, "status_code"),
        ({"error_type": "message", "message": "x", "more": 1}, "more"),
    ],
)
def test_wrong_field_is_named_with_422(
    client: FlaskClient, body: dict[str, object], field: str
) -> None:
    answer = trigger(client, **body)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert field in [error["field"] for error in answer.json["errors"]]
    assert client.get("/api/events").json["events"] == []


def test_malformed_json_is_400_wrong_type_415_too_large_413(client: FlaskClient) -> None:
    def send(data: bytes, content_type: str = "application/json") -> int:
        answer = client.post(
            "/test-error",
            data=data,
            content_type=content_type,
            headers={"Authorization": "Bearer "},
        )
        assert answer.content_type == "application/problem+json"
        return answer.status_code

    assert send(b"{") == 400
    assert send(b"[1]") == 400
    assert send(b"[" * 60_000) == 400
    assert send(b"\xff\xfe") == 400
    assert send(b'"' + b"x" * 70_000 + b'"') == 413


def test_wrong_content_type_with_a_token_is_415(make_app, client: FlaskClient) -> None:
    app = make_app(API_TOKEN="t" * 20)
    answer = app.test_client().post(
        "/test-error", data="x", headers={"Authorization": "Bearer " + "t" * 20}
    )
    assert answer.status_code == 415


def test_wrong_method_is_405_with_allow(client: FlaskClient) -> None:
    answer = client.get("/test-error")
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "POST" in answer.headers["Allow"]


def test_test_error_is_a_request_but_no_failed_one(app: Flask, client: FlaskClient) -> None:
    assert trigger(client, error_type="exception", message="x").status_code == 500
    assert client.get("/sentry-debug").status_code == 500
    parts_of(app).intake.flush()
    found = client.get("/api/performance").json["performance"]
    failures = {one["transaction"]: (one["requests"], one["failures"]) for one in found}
    assert failures["/test-error"] == (1, 0) and failures["/sentry-debug"] == (1, 1)


def test_sentry_debug_is_recorded_as_a_division_by_zero(client: FlaskClient) -> None:
    answer = client.get("/sentry-debug")
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text and "Traceback" not in answer.text
    event = client.get(f"/api/events/{answer.json['event_id']}").json
    assert event["exceptions"][-1]["type"] == "ZeroDivisionError"
    assert event["exceptions"][-1]["frames"][-1]["function"] == "sentry_debug"
