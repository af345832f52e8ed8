"""Feedback of real clients comes in through the door."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.feedback_envelopes import said
from tests.ingest.corpus import load
from tests.ingest.test_door import EVENT_ID, envelope, post
from tests.ingest.test_recorded import send

SAID = {
    "sentry-node-11.12.0__feedback": (43, "the button is dead", "1" * 32),
    "sentry-python-2.75.0__feedback-manualitem-none": (42, "the page is broken", None),
}


@pytest.mark.parametrize("one", [one for one in load() if "feedback" in one.name])
def test_feedback_of_a_real_client_is_read(app: Flask, client: FlaskClient, one: Any) -> None:
    assert send(client, one)[0] == 200
    [row] = said(app)
    assert (row.project_id, row.message, row.associated_event_id) == SAID[one.name]
    assert (row.name, row.event_id) == ("Ada", one.event_id)
    assert row.email == "a@example.org"
    assert client.get("/api/issues").json["issues"] == []


def test_user_report_is_read_and_answered_with_the_id_it_is_about(
    app: Flask, client: FlaskClient
) -> None:
    report = {"event_id": EVENT_ID, "name": "Ada", "email": "a@x.org", "comments": "dead\x00"}
    data = envelope(json.dumps(report).encode(), kind="user_report", event_id=EVENT_ID)
    assert post(client, data).json == {"id": EVENT_ID}
    assert post(client, envelope(event_id=EVENT_ID)).json == {"id": EVENT_ID}
    [row] = said(app)
    assert (row.message, row.associated_event_id) == ("dead\ufffd", EVENT_ID)
    assert client.get("/api/events").json["events"][0]["event_id"] == EVENT_ID
