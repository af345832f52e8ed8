"""No text of a client reorders a page by characters that set the direction of text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.protocol.envelope import Envelope, Item
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store import utc_now
from tests.admin.hostile import SCRIPT, insert, script_event
from tests.conftest import parts_of
from tests.feedback_envelopes import feedback_item, send
from tests.signals.logs.steps import entry
from tests.signals.logs.steps import send as send_lines

pytestmark = pytest.mark.one_database

TEXT = "a\N{RIGHT-TO-LEFT OVERRIDE}b\N{LEFT-TO-RIGHT ISOLATE}c"
TRACE = {"trace_id": "a" * 32, "span_id": "b" * 16}
NAMES = {"transaction": TEXT, "release": TEXT, "environment": TEXT}
LISTS = "events issues releases feedback logs monitors performance deliveries losses"


def event() -> dict[str, Any]:
    """Return an event with the text in every field that a page shows."""
    found = json.loads(json.dumps(script_event()).replace(json.dumps(SCRIPT)[1:-1], TEXT))
    return {**found, **NAMES, "contexts": {**found["contexts"], "trace": TRACE}}


def signals() -> list[Item]:
    """Return a transaction and a check-in that are named by the text."""
    times = {"start_timestamp": utc_now().timestamp() - 1, "timestamp": utc_now().timestamp()}
    span = {**TRACE, "span_id": "c" * 16, "op": TEXT, "description": TEXT, **times}
    transaction = {"contexts": {"trace": TRACE}, "spans": [span], **NAMES, **times}
    schedule = {"type": "crontab", "value": "* * * * *"}
    check_in = {"monitor_slug": TEXT, "monitor_config": {"schedule": schedule}, "status": "ok"}
    return [Item({"type": "transaction"}, transaction), Item({"type": "check_in"}, check_in)]


def fill(app: Flask) -> str:
    """Store the text in all that clients send, and return the id of the event."""
    event_id, parts = insert(app, event()), parts_of(app)
    said = {"name": TEXT, "contact_email": TEXT, "source": TEXT}
    send(app, feedback_item(TEXT * 5, event_id, **said))
    for item in signals():
        parts.intake.accept(Envelope({}, [item]), project_id=1, timeout_s=5)
    names = {f"sentry.{name}": TEXT for name in NAMES}
    attributes = {TEXT: TEXT, **names}
    send_lines(parts, entry(TEXT, trace_id=TRACE["trace_id"], attributes=attributes))
    catch_up(parts.store, SIGNALS)
    return event_id


def test_no_text_of_a_client_sets_the_direction_of_a_page(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = fill(app)
    issue_id = admin_client.get(f"/api/events/{event_id}").json["issue_id"]
    places = [f"events/{event_id}", f"issues/{issue_id}", f"traces/{TRACE['trace_id']}"]
    paths = [*places, f"{places[-1]}?span={'c' * 16}", "releases/1", f"events/{event_id}/raw"]
    paths += [f"{name}?period=all" for name in LISTS.split()]
    for path in paths:
        answer = admin_client.get(f"/admin/{path}")
        assert answer.status_code == 200, path
        shown = re.sub(r'="[^"]*"', "", answer.text)
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", shown), (path, shown)
        # Slugs have only letters, digits and dashes; the raw event has escapes of JSON.
        if not re.match("deliveries|monitors|losses|.*/raw", path):
            assert "\N{REPLACEMENT CHARACTER}" in shown, path


def test_text_of_another_direction_is_kept_apart(app: Flask, admin_client: FlaskClient) -> None:
    styles = admin_client.get("/static/css/app.css").text
    rule = re.search(r"^([\w, ]+) \{ unicode-bidi: isolate; \}$", styles, re.MULTILINE)
    assert rule and {"a", "b", "code", "span", "summary"} <= set(rule[1].split(", "))
