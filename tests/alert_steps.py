"""Steps of alert tests: store events, add rules and channels, evaluate, read notifications."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from flask import Flask
from sqlalchemy import Row, select

from app.alerts import queries
from app.alerts.channels import inputs as channel_inputs
from app.alerts.channels import stored as stored_channels
from app.alerts.channels.kind import KINDS as CHANNEL_KINDS
from app.alerts.channels.stored import Channel
from app.alerts.evaluation import Evaluator
from app.alerts.outage import Outage
from app.alerts.rules import changes
from app.alerts.rules.changes import change_rule, ensure_presets
from app.alerts.rules.kind import KINDS, Parts
from app.alerts.rules.stored import AlertRule, find_rule, list_rules
from app.alerts.tables import notices as notices_table
from app.alerts.task import AlertTask
from app.protocol.envelope import Envelope, Item
from tests.conftest import parts_of
from tests.issues.payloads import Payload


def store_events(app: Flask, *payloads: Payload, project_id: int = 1) -> list[str]:
    """Store events of another program, and return their ids."""
    ids = []
    for payload in payloads:
        event_id = uuid.uuid4().hex
        envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
        parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)
        ids.append(event_id)
    return ids


def evaluator_of(app: Flask) -> Evaluator:
    parts = parts_of(app)
    measured = Parts(parts.destinations, parts.config.DATA_DIR, parts.intake)
    return Evaluator(parts.store, measured, parts.config.ALERTS_EVALUATE_EVERY_S)


def evaluate(app: Flask) -> None:
    evaluator_of(app).work()


def alert_loop_of(app: Flask, owner: str) -> AlertTask:
    parts = parts_of(app)
    every_s = parts.config.ALERTS_EVALUATE_EVERY_S
    return AlertTask(
        parts.store, parts.dispatcher, evaluator_of(app), outage_of(app), every_s, owner
    )


def outage_of(app: Flask) -> Outage:
    parts = parts_of(app)
    return Outage(
        parts.store, parts.dispatcher.senders, parts.config.DATA_DIR, parts.config.public_url
    )


def send_due(app: Flask) -> int:
    return parts_of(app).dispatcher.send_due(threading.Event())


def add_channel(app: Flask, kind: str, url: str, name: str = "hook") -> Channel:
    targets = parts_of(app).dispatcher.targets
    values = channel_inputs.new_values(CHANNEL_KINDS[kind], {"name": name, "url": url}, targets)
    with parts_of(app).store.write() as conn:
        return stored_channels.add_channel(conn, values)


def add_webhook(app: Flask, url: str, name: str = "hook") -> Channel:
    return add_channel(app, "webhook", url, name)


def add_rule(app: Flask, kind: str, project_id: int = 1, **fields: Any) -> AlertRule:
    with parts_of(app).store.write() as conn:
        return changes.add_rule(conn, KINDS[kind], project_id, fields)


def only(app: Flask, kind: str, **fields: Any) -> AlertRule:
    """Switch off all existing rules, and add a rule."""
    ensure_presets(parts_of(app).store)
    with parts_of(app).store.write() as conn:
        for rule in list_rules(conn):
            change_rule(conn, rule, {"enabled": False})
    return add_rule(app, kind, **fields)


def rule_now(app: Flask, rule: AlertRule) -> AlertRule:
    with parts_of(app).store.read() as conn:
        found = find_rule(conn, rule.id)
    assert found
    return found


def titles(app: Flask) -> list[str]:
    """Return the titles of all notifications, oldest first."""
    with parts_of(app).store.read() as conn:
        return list(conn.scalars(select(notices_table.c.title).order_by(notices_table.c.id)))


def sendings(app: Flask) -> list[Row[Any]]:
    with parts_of(app).store.read() as conn:
        ids = [row.id for row in queries.list_notifications(conn, limit=1000)]
        found = queries.sendings_of(conn, ids)
    return [one for id in sorted(found) for one in found[id]]
