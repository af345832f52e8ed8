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

from app.intake.retention import Limits, prune
from app.protocol.client_report import read_client, read_losses
from app.protocol.envelope import Envelope, Item
from app.stats.counting import count_day
from app.stats.item_counts import (
    LOSSES,
    LossKey,
    client_losses,
    item_counts,
    items_by_type,
    losses,
)
from app.store import utc_now
from tests.conftest import parts_of
from tests.ingest.corpus import load
from tests.ingest.test_door import EVENT_ID, envelope, post

LOST = {"reason": "queue_overflow", "category": "error", "quantity": 17}


def report(*entries: Any, **headers: Any) -> bytes:
    payload = json.dumps({"timestamp": 1.0, "discarded_events": list(entries)}).encode()
    return envelope(payload, kind="client_report", **headers)


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
        found = losses(conn)
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
    ("headers", "given", "name"),
    [
        ({"sdk": {"name": "sentry.rust", "version": "0.34"}}, "other/1", "sentry.rust 0.34"),
        ({"sdk": {"name": "sentry.rust"}}, None, "sentry.rust"),
        ({"sdk": "x"}, "sentry.python/2.75.0", "sentry.python 2.75.0"),
        ({}, "raven-node", "raven-node"),
        ({}, None, None),
        ({}, "<script>\n/1", "_script__ 1"),
        ({}, "n" * 500, "n" * 100),
    ],
)
def test_client_is_named_by_its_header_else_by_its_key(
    headers: dict[str, Any], given: str | None, name: str | None
) -> None:
    assert read_client(Envelope(headers), given) == name


def test_losses_of_a_day_have_an_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOSSES, "max_keys", 3)
    day = utc_now().date()
    with parts_of(app).store.write() as conn:
        for batch in range(4):
            keys = [LossKey(42, f"client {batch} {n}", "queue_overflow", "error") for n in range(2)]
            count_day(conn, LOSSES, Counter(dict.fromkeys(keys, 5)), day)
        found = losses(conn, 42)
        assert sum(loss.quantity for loss in found) == 40
        assert len(found) == 4 and {loss.client for loss in found} >= {"other"}


def test_what_is_by_choice_is_no_loss_and_stands_last(app: Flask) -> None:
    day = utc_now().date()
    chosen = LossKey(42, "sentry.python 2", "sample_rate", "transaction")
    lost = LossKey(42, "sentry.python 2", "network_error", "error")
    with parts_of(app).store.write() as conn:
        count_day(conn, LOSSES, Counter({chosen: 1000, lost: 1}), day)
        found = losses(conn)
        assert [(loss.reason, loss.is_by_choice) for loss in found] == [
            ("network_error", False),
            ("sample_rate", True),
        ]
        assert losses(conn, 43) == []


def test_old_counts_go_with_retention(app: Flask, client: FlaskClient) -> None:
    post(client, report(LOST))
    store = parts_of(app).store
    with store.write() as conn:
        for table in (item_counts, client_losses):
            conn.execute(update(table).values(day=utc_now().date() - timedelta(days=91)))
    prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        assert items_by_type(conn) == {} and losses(conn) == []
        assert conn.scalar(select(func.count()).select_from(item_counts)) == 0
