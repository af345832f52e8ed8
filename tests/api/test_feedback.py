"""GET /api/feedback: what people said, newest first, narrowed as asked."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from tests.conftest import parts_of
from tests.feedback_envelopes import feedback_item, report_item, send


def messages(client: FlaskClient, **query: Any) -> list[str]:
    answer = client.get("/api/feedback", query_string=query)
    assert answer.status_code == 200, answer.text
    return [row["message"] for row in answer.json["feedback"]]


def test_feedback_is_told_whole(app: Flask, client: FlaskClient) -> None:
    event_id = str(sentry.capture_message("it broke"))
    said = {"name": "Ada", "contact_email": "a@x.org", "url": "https://x.org/", "source": "widget"}
    item = feedback_item("the button is dead", event_id, **said)
    send(app, item)
    [row] = client.get("/api/feedback").json["feedback"]
    assert row.pop("received_at").endswith("Z")
    assert row == {
        "id": 1,
        "project_id": 1,
        "event_id": item.payload["event_id"],
        "associated_event_id": event_id,
        "issue_id": 1,
        "message": "the button is dead",
        "name": "Ada",
        "email": "a@x.org",
        "url": "https://x.org/",
        "source": "widget",
        "state": "open",
        "attachments": [],
    }


def test_files_of_feedback_are_listed_and_opened(app: Flask, client: FlaskClient) -> None:
    content = b"\x89PNG\nno end of line"
    named = {"filename": "shot.png", "content_type": "image/png"}
    file = Item({"type": "attachment", **named}, content)
    item = feedback_item("the button is dead", "a" * 32)
    parts_of(app).intake.accept(Envelope({}, [item, file]), project_id=1, timeout_s=10)
    [row] = client.get("/api/feedback").json["feedback"]
    assert row["attachments"] == [{**named, "size": len(content)}]
    answer = client.get(f"/api/feedback/{row['id']}/attachments/0")
    assert (answer.status_code, answer.data) == (200, content)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    for missing in (f"{row['id']}/attachments/1", "999/attachments/0", f"{2**70}/attachments/0"):
        assert client.get(f"/api/feedback/{missing}").status_code == 404


def test_pages_lead_from_the_newest_to_the_oldest(app: Flask, client: FlaskClient) -> None:
    for n in range(5):
        send(app, report_item(f"said {n}"))
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/feedback", query_string=query).json
        found += [row["message"] for row in page["feedback"]]
        cursor, pages = page["next"], pages + 1
    assert found == [f"said {n}" for n in (4, 3, 2, 1, 0)] and pages == 3


def test_list_is_narrowed_as_asked(app: Flask, client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop", 2)
    event_id = str(sentry.capture_message("it broke"))
    send(app, feedback_item("50% dead", event_id, name="Ada"))
    send(app, report_item("slow", "f" * 32, email="bob@x.org"))
    send(app, feedback_item("elsewhere"), project_id=2)
    assert messages(client, issue_id=1) == messages(client, event_id=event_id) == ["50% dead"]
    assert messages(client, project_id=2) == ["elsewhere"]
    assert messages(client, q="ADA") == messages(client, q="0% d") == ["50% dead"]
    assert messages(client, q="bob@") == messages(client, q="F" * 32) == ["slow"]
    assert messages(client, q="%") == ["50% dead"] and messages(client, issue_id=2) == []


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "1001"), ("cursor", "x"), ("event_id", "x"), ("colour", "red")]
)
def test_wrong_parameter_is_named(client: FlaskClient, name: str, value: str) -> None:
    answer = client.get("/api/feedback", query_string={name: value})
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [error["field"] for error in answer.json["errors"]] == [name]


def test_state_of_feedback_is_changed_and_narrows_the_list(app: Flask, client: FlaskClient) -> None:
    for text in ("buy pills", "the button is dead", "nice shop"):
        send(app, feedback_item(text))
    for id, state in ((1, "spam"), (2, "done")):
        answer = client.patch(f"/api/feedback/{id}", json={"state": state})
        assert (answer.status_code, answer.json["state"]) == (200, state)
    assert messages(client, state="open") == ["nice shop"]
    assert messages(client, state="spam") == ["buy pills"]
    assert len(messages(client)) == 3
    assert client.patch("/api/feedback/9", json={"state": "done"}).status_code == 404
    for wrong in ({"state": "old"}, {"state": None}, {"message": "x"}):
        answer = client.patch("/api/feedback/1", json=wrong)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, *wrong)
    assert client.get("/api/feedback?state=old").status_code == 422
