"""Reading events and issues, health and status."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from tests.conftest import parts_of


def test_pages_of_events_follow_one_another_without_gap_or_repetition(client: FlaskClient) -> None:
    ids = [sentry.capture_message(f"message {chr(65 + i)}") for i in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/api/events?limit=3{cursor}").json
        seen += [event["event_id"] for event in page["events"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ids[::-1]


def test_pages_of_issues_follow_one_another(client: FlaskClient) -> None:
    for i in range(5):
        sentry.capture_message(f"message {chr(65 + i)}")
    first = client.get("/api/issues?limit=3").json
    second = client.get("/api/issues", query_string={"limit": 3, "cursor": first["next"]}).json
    assert (first["total"], second["next"]) == (5, None)
    titles = [issue["title"] for issue in first["issues"] + second["issues"]]
    assert titles == [f"message {letter}" for letter in "EDCBA"]
    one = client.get(f"/api/issues/{first['issues'][0]['id']}").json
    types = one.pop("types")  # Of `<other>`, and on its own page alone.
    assert types is None
    assert one == first["issues"][0]


def test_filters_narrow_the_list(client: FlaskClient) -> None:
    sentry.capture_message("100% of the disk", level="fatal")
    other = sentry.capture_message("100 of the disk", level="info")

    def titles(**query: str) -> list[str]:
        answer = client.get("/api/events", query_string=query)
        return [event["title"] for event in answer.json["events"]]

    assert titles(level="fatal") == ["100% of the disk"]
    assert titles(q="0% OF") == ["100% of the disk"]
    assert titles(q=str(other)) == ["100 of the disk"]
    assert titles(environment="nowhere") == []
    assert titles(release="shop@1.2.3", environment="testing") != []
    assert titles(since="2099-01-01T00:00:00Z") == []
    assert len(titles(until="2099-01-01T00:00:00Z")) == 2


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/events?limit=0", "limit"),
        ("/api/events?limit=1001", "limit"),
        ("/api/events?limit=ten", "limit"),
        ("/api/events?cursor=x", "cursor"),
        ("/api/events?cursor=99999999999999999999", "cursor"),
        ("/api/events?level=loud", "level"),
        ("/api/events?since=yesterday", "since"),
        ("/api/events?nonsense=1", "nonsense"),
        ("/api/issues?cursor=2026-01-01~1", "cursor"),
        ("/api/issues?status=open", "status"),
    ],
)
def test_wrong_parameter_is_named_with_422(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.parametrize(
    "path",
    [
        "/api/events/nonsense",
        "/api/events/" + "0" * 32,
        "/api/events/..%2f..%2fetc",
        "/api/issues/77",
        "/api/issues/99999999999999999999",
        "/api/nothing",
        "/nothing",
    ],
)
def test_unknown_things_are_404_problems(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert set(answer.json) == {"type", "title", "status", "detail", "instance"}


def test_event_is_found_with_dashes_and_capitals_and_its_payload_with_raw(
    client: FlaskClient,
) -> None:
    event_id = sentry.capture_message("hello")
    assert event_id
    dashed = f"{event_id[:8]}-{event_id[8:12]}-{event_id[12:16]}-{event_id[16:20]}-{event_id[20:]}"
    assert client.get(f"/api/events/{dashed.upper()}").json["event_id"] == event_id
    raw = client.get(f"/api/events/{event_id}?raw=1").json
    assert (raw["event_id"], raw["message"]) == (event_id, "hello")


def test_health_says_little_and_live_touches_nothing(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "pass",
        "environment": "testing",
        "release": "shop@1.2.3",
        "sentry": {"enabled": False},
        "checks": dict.fromkeys(
            ("store", "emergency", "disk", "delivery", "alerts", "books"), "pass"
        ),
    }
    assert client.get("/health/live").json == {"status": "pass"}
    assert client.get("/health/ready").status_code == 200


def test_health_fails_when_the_store_is_unusable_and_live_goes_on(
    make_app: Callable[..., Flask], tmp_path
) -> None:
    (tmp_path / "a-file").write_text("")
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/a-file/store.sqlite3")
    client = app.test_client()
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json["checks"]["store"]) == (503, "fail")
    assert client.get("/health/live").status_code == 200
    answer = client.get("/api/events")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "Retry-After" in answer.headers
    assert str(tmp_path) not in answer.text
    assert client.get("/system/status").json["store"]["ok"] is False


def test_process_on_its_way_out_is_not_ready_but_healthy(app: Flask, client: FlaskClient) -> None:
    app.extensions["is_draining"] = lambda: True
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["checks"]["process"]) == (503, "fail")
    assert client.get("/health").status_code == 200


def test_status_shows_accounting_and_versions_but_no_secret(make_app: Callable[..., Flask]) -> None:
    app = make_app(SENTRY_DSN="http://topsecretkey@127.0.0.1:9/42", SENTRY_SAMPLE_RATE=0.0)
    sentry.capture_message("one")
    answer = app.test_client().get("/system/status")
    status = answer.json
    assert status["accounting"]["balanced"] is True
    assert status["accounting"]["accepted"] == 1
    assert status["store"]["events"] == 1
    assert status["process"]["rss_bytes"] > 0
    assert status["versions"]["sentry-sdk"]
    assert (status["sentry"]["host"], status["sentry"]["project"]) == ("127.0.0.1", "42")
    assert "topsecretkey" not in answer.text
    assert "correct-horse" not in answer.text


def test_accounting_that_is_tampered_with_does_not_add_up(app: Flask, client: FlaskClient) -> None:
    sentry.capture_message("one")
    with parts_of(app).store.write() as conn:
        conn.exec_driver_sql("DELETE FROM events")
        conn.exec_driver_sql("DELETE FROM envelopes")
    assert client.get("/system/status").json["accounting"]["balanced"] is False
