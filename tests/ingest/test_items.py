"""What comes besides events: counted by type, and what clients lost, told in their words."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app.insights.losses import lost_lately
from app.intake.retention import Limits, prune
from app.protocol.caller import Caller
from app.protocol.client_report import read_losses
from app.protocol.envelope import Envelope, Item
from app.protocol.sdk_name import read_sdk
from app.stats.item_counts import item_counts, items_by_type
from app.store import utc_now
from tests.conftest import parts_of
from tests.ingest.corpus import load
from tests.ingest.test_door import EVENT_ID, envelope, post

LOST = {"reason": "queue_overflow", "category": "error", "quantity": 17}


def report(*entries: Any, **headers: Any) -> bytes:
    payload = json.dumps({"timestamp": 1.0, "discarded_events": list(entries)}).encode()
    return envelope(payload, kind="client_report", **headers)


def of(sdk: Any, payload: dict[str, Any] | None = None) -> Envelope:
    items = [] if payload is None else [Item({"type": "event"}, payload)]
    return Envelope({} if sdk is None else {"sdk": sdk}, items)


def status(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/system/status").json
    return found


def test_items_are_counted_by_type_and_duplicates_are_not(client: FlaskClient) -> None:
    for _ in range(2):
        post(client, envelope(event_id=EVENT_ID))
    post(client, envelope(b'{"check_in_id":"a"}', kind="check_in"))
    post(client, envelope(b"{}", kind="session"))
    post(client, envelope(b"{}", kind="session"))
    post(client, envelope(b"?", kind="never_heard_of"))
    assert status(client)["items"] == {"session": 2, "check_in": 1, "event": 1, "other": 1}


def test_loss_is_told_with_the_name_of_the_client(client: FlaskClient, login: Any) -> None:
    auth = {"X-Sentry-Auth": "Sentry sentry_key=pub, sentry_client=sentry.python/2.75.0"}
    for _ in range(2):
        assert post(client, report(LOST), **auth).status_code == 200
    [loss] = status(client)["client_losses"]
    assert loss["client"] == "sentry.python 2.75.0" and loss["quantity"] == 34
    page = login(client).get("/admin/status").text
    told = "<b>sentry.python 2.75.0</b> lost 34 events by <code>queue_overflow</code>"
    assert told in page
    assert told in client.get("/admin/projects/42").text
    assert told not in client.get("/admin/projects/43").text


@pytest.mark.parametrize("one", [one for one in load() if "client_report" in one.name])
def test_report_of_a_real_client_is_counted(app: Flask, client: FlaskClient, one: Any) -> None:
    headers = [pair for pair in one.headers if pair[0].lower() != "content-length"]
    assert client.post(one.path, data=one.body, headers=headers).status_code == 200
    with parts_of(app).store.read() as conn:
        found = lost_lately(conn, utc_now())
    assert {(loss.client, loss.reason) for loss in found} == {
        ("sentry.javascript.browser 11.12.0", "network_error")
    }
    assert Counter({loss.category: loss.quantity for loss in found}) == {"session": 2, "error": 1}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {**LOST, "quantity": -1},
        {**LOST, "quantity": "many"},
        {**LOST, "quantity": 10**30},
        {**LOST, "quantity": True},
        {**LOST, "reason": None},
        {**LOST, "reason": {"a": 1}},
    ],
)
def test_entry_that_is_none_is_left_out_and_the_others_count(entry: Any) -> None:
    payload = {"discarded_events": [entry, LOST]}
    found = read_losses(Envelope({}, [Item({"type": "client_report"}, payload)]))
    assert [loss.quantity for loss in found] == [17]


@pytest.mark.parametrize("payload", [b"no JSON", [], {"discarded_events": "none"}, None])
def test_report_that_is_none_says_nothing(payload: Any) -> None:
    assert read_losses(Envelope({}, [Item({"type": "client_report"}, payload)])) == []


@pytest.mark.parametrize(
    ("envelope", "caller", "words"),
    [
        (
            of({"name": "sentry.rust", "version": "0.34"}),
            Caller(client="other/1"),
            "sentry.rust 0.34",
        ),
        (of({"name": "sentry.rust"}), Caller(), "sentry.rust"),
        (of("x"), Caller(client="sentry.python/2.75.0"), "sentry.python 2.75.0"),
        (of(None, {"sdk": {"name": "sentry.go", "version": "1"}}), Caller(), "sentry.go 1"),
        (None, Caller(client="raven-node"), "raven-node"),
        (None, Caller(user_agent="sentry.native/0.7.2 (linux)"), "sentry.native 0.7.2"),
        (None, Caller(user_agent="Mozilla/5.0 (X11; Linux)"), "unknown client"),
        (None, Caller(), "unknown client"),
        (of(None), Caller(client="<script>\n/1"), "_script_ 1"),
        (of({"name": ["x"], "version": {}}), Caller(), "unknown client"),
        (of({"name": "n" * 500, "version": "v" * 500}), Caller(), f"{'n' * 64} {'v' * 64}"),
    ],
)
def test_sdk_is_named_by_its_envelope_else_by_its_key_else_by_its_user_agent(
    envelope: Envelope | None, caller: Caller, words: str
) -> None:
    assert read_sdk(envelope, caller).words == words


def test_old_counts_go_with_retention(app: Flask, client: FlaskClient) -> None:
    post(client, envelope(event_id=EVENT_ID))
    store = parts_of(app).store
    with store.write() as conn:
        conn.execute(update(item_counts).values(day=utc_now().date() - timedelta(days=91)))
    prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        assert items_by_type(conn) == {}
        assert conn.scalar(select(func.count()).select_from(item_counts)) == 0
