"""Odd ids: of traces with dashes, as of ``str(uuid4())``, and one of two spans."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.monitors.check_in import read_check_ins
from app.protocol.envelope import Envelope, Item
from app.store import utc_now
from tests.signals.logs.steps import HEADERS, entry
from tests.traces.steps import TRACE, send, settle, span, span_id, stream, streamed, transaction

DASHED = str(UUID(TRACE)).upper()


def test_items_with_dashes_in_the_id_are_of_one_trace(app: Flask, client: FlaskClient) -> None:
    event = {"message": "declined", "contexts": {"trace": {"trace_id": DASHED}}}
    send(app, transaction(1, [], trace_id=DASHED))
    send(app, stream([streamed(2, 1) | {"trace_id": DASHED}]))
    send(app, Item({"type": "event"}, event), event_id="e" * 32)
    send(app, Item({**HEADERS, "item_count": 1}, {"items": [entry(trace_id=DASHED)]}))
    settle(app)
    found = client.get(f"/api/traces/{TRACE}").json
    assert [len(found[name]) for name in ("transactions", "spans", "events")] == [1, 1, 1]
    for asked in TRACE, DASHED:
        for path, name in ("/api/events", "events"), ("/api/logs", "logs"):
            query = {"query": f"trace:{asked}", "period": "all"}
            assert len(client.get(path, query_string=query).json[name]) == 1, (path, asked)


@pytest.mark.one_database
def test_check_in_with_dashes_in_the_id_is_of_its_trace() -> None:
    given = {"status": "ok", "contexts": {"trace": {"trace_id": DASHED}}}
    envelope = Envelope({}, [Item({"type": "check_in"}, given)])
    (sent,) = read_check_ins(envelope, 1, utc_now())
    assert sent.check_in and sent.check_in.trace_id == TRACE


@pytest.mark.one_database
def test_two_spans_of_one_id_are_shown_and_one_that_came_twice_is_not(
    app: Flask, client: FlaskClient
) -> None:
    inside = [span(2, 1, op="db", description="SELECT"), span(2, 1, op="http", description="GET")]
    for _ in range(2):
        send(app, transaction(1, inside))
    settle(app)
    spans = client.get(f"/api/traces/{TRACE}").json["spans"]
    assert [(one["span_id"], one["op"]) for one in spans] == [
        (span_id(2), "db"),
        (span_id(2), "http"),
    ]
