"""The last hop of an event's trail: who was notified, on both databases."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tests.alert_steps import add_webhook, evaluate, only, send_due, store_events
from tests.issues.payloads import calls
from tests.receivers import Receiver


def last_hop(client: FlaskClient, event_id: str) -> dict[str, Any]:
    hop: dict[str, Any] = client.get(f"/api/events/{event_id}").json["trail"][-1]
    return hop


def test_trail_ends_with_who_was_notified_where_rules_look_at_the_event(
    app: Flask, receiver: Receiver, client: FlaskClient
) -> None:
    only(app, "new_issue", name="New ones", cooldown_minutes=10)
    add_webhook(app, receiver.url, "#shop")
    [first] = store_events(app, calls("charge"))
    assert last_hop(client, first)["detail"] == "alert rules look at it within a minute"
    evaluate(app)
    assert last_hop(client, first)["detail"] == "New ones: on its way to #shop"
    send_due(app)
    hop = last_hop(client, first)
    assert (hop["hop"], hop["ok"], hop["detail"]) == ("notified", True, "New ones: sent to #shop")
    assert hop["at"] and hop["ms"] >= 0
    [repeat, second] = store_events(app, calls("charge"), calls("pay"))
    evaluate(app)
    assert last_hop(client, repeat)["hop"] == "accepted"
    hop = last_hop(client, second)
    assert hop["ok"] is None and hop["detail"].startswith("New ones notified a short while ago")
