"""An issue that is resolved closes the incident that a notification about it has opened."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import select

from app.alerts.tables import open_incidents
from app.issues import merging, triage
from app.issues.tables import issues
from tests.alert_steps import evaluate, only, send_due, sendings, store_events, titles
from tests.alerts.test_channels import CHANNELS, add
from tests.conftest import parts_of
from tests.issues.payloads import calls
from tests.receivers import Receiver

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _pager(app: Flask, client: FlaskClient, receiver: Receiver) -> None:
    add(client, kind="pagerduty", url=receiver.url, secret=KEY)
    add(client, kind="mattermost", url=f"{receiver.url}/chat", name="Chat")
    only(app, "new_issue")


def report(app: Flask, *names: str) -> list[int]:
    """Store a new issue for each name, send what is due, and return the ids of the issues."""
    for name in names:
        store_events(app, calls(name, value=name))
    evaluate(app)
    send_due(app)
    with parts_of(app).store.read() as conn:
        return list(conn.scalars(select(issues.c.id).order_by(issues.c.id)))


def resolve(app: Flask, *issue_ids: int) -> None:
    with parts_of(app).store.write() as conn:
        triage.resolve(conn, issue_ids, "ada")
    send_due(app)


def pages(receiver: Receiver) -> list[tuple[str, str]]:
    """Return action and key of what the pager got."""
    got = [request.json for request in receiver.received if request.path == "/"]
    return [(event["event_action"], event["dedup_key"]) for event in got]


def open_rows(app: Flask) -> list[Any]:
    with parts_of(app).store.read() as conn:
        return list(conn.execute(select(open_incidents)))


def test_resolved_issue_closes_its_incident_and_only_there(app: Flask, receiver: Receiver) -> None:
    [issue_id] = report(app, "charge")
    resolve(app, issue_id)
    (opened, key), (closed, same_key) = pages(receiver)
    assert (opened, closed) == ("trigger", "resolve")
    assert key == same_key and key.endswith(f"-issue-{issue_id}")
    last = receiver.received[-1].json
    assert last["payload"]["summary"] == "Resolved: ValueError: charge"
    assert last["payload"]["custom_details"]["text"] == "Resolved by ada."
    assert titles(app) == ["New issue: ValueError: charge", "Resolved: ValueError: charge"]
    # The chat is not told, and a second resolve closes nothing.
    resolve(app, issue_id)
    assert len(pages(receiver)) == 2 and len(receiver.received) == 3 and open_rows(app) == []


@pytest.mark.one_database
def test_incident_of_many_issues_is_closed_with_the_last_of_them(
    app: Flask, receiver: Receiver
) -> None:
    first, second, third = report(app, "one", "two", "three")
    resolve(app, first, second)
    assert [action for action, _ in pages(receiver)] == ["trigger"]
    with parts_of(app).store.write() as conn:
        triage.delete(conn, [third])
    send_due(app)
    (_, key), (closed, same_key) = pages(receiver)
    assert closed == "resolve" and key == same_key and "-notice-" in key


@pytest.mark.one_database
def test_incident_that_was_never_opened_is_not_opened_after_its_end(
    app: Flask, receiver: Receiver
) -> None:
    receiver.answer = lambda: Response("later", 503)
    [issue_id] = report(app, "charge")
    receiver.answer = lambda: Response("ok")
    resolve(app, issue_id)
    assert [action for action, _ in pages(receiver)] == ["trigger", "resolve"]
    discarded = [row for row in sendings(app) if row.state == "discarded"]
    assert [row.reason for row in discarded] == ["the issue was resolved before this was sent"]
    assert [row.channel_kind for row in discarded] == ["pagerduty"]


def test_incident_of_a_merged_issue_waits_for_the_one_that_stays(
    app: Flask, receiver: Receiver
) -> None:
    [first] = report(app, "one")
    only(app, "new_issue")
    _, second = report(app, "two")
    with parts_of(app).store.write() as conn:
        merging.merge(conn, [first, second], "ada")
    assert {row.issue_id for row in open_rows(app)} == {first}
    resolve(app, first)
    closed = [key for action, key in pages(receiver) if action == "resolve"]
    assert sorted(key.rpartition("-")[2] for key in closed) == [str(first), str(second)]


@pytest.mark.one_database
def test_resolve_by_the_api_closes_and_a_template_without_action_does_not(
    app: Flask, client: FlaskClient, receiver: Receiver
) -> None:
    client.patch(f"{CHANNELS}/1", json={"template": '{"text": "{{title}}"}'})
    [issue_id] = report(app, "charge")
    assert client.patch(f"/api/issues/{issue_id}", json={"status": "resolved"}).status_code == 200
    assert send_due(app) == 0
    template = '{"status": "{{action}}", "key": "{{incident}}"}'
    client.patch(f"{CHANNELS}/2", json={"template": template})
    only(app, "new_issue")
    _, other = report(app, "other")
    client.patch(f"/api/issues/{other}", json={"status": "resolved"})
    send_due(app)
    chat = [request.json for request in receiver.received if request.path == "/chat"]
    assert [body["status"] for body in chat[1:]] == ["trigger", "resolve"]
    assert chat[1]["key"] == chat[2]["key"]
