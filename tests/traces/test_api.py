"""/api/traces and /api/transactions: what the SDKs sent, in all projects, counted independently."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app.events.tables import envelopes
from app.intake.pruning import remove_ids
from app.intake.removed_projects import remove_deleted_projects
from app.projects import create_project
from app.projects.ending import delete_project
from app.protocol import packing
from app.protocol.envelope import Envelope, Item
from app.traces import listing, reading
from app.traces.tables import trace_envelopes, transactions
from tests.conftest import API_TOKEN, parts_of
from tests.protocol.corpus import ENTRIES, envelope_of
from tests.traces.steps import (
    BEGAN,
    TRACE,
    program,
    send,
    settle,
    span,
    span_id,
    stream,
    streamed,
    transaction,
)

SHOP, STOCK, OTHER = 2, 3, 4


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    for number, name in ((SHOP, "Shop"), (STOCK, "Stock")):
        create_project(parts_of(app).store, name, number, str(number) * 32)
    return app


def spans_in(sent: list[Envelope]) -> list[dict[str, Any]]:
    """Return the spans inside the transactions that a program sent."""
    return [
        one
        for envelope in sent
        for item in envelope.items
        if item.type == "transaction"
        for one in item.payload["spans"]
    ]


def ms_of(one: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(one[key]) for key in ("start_timestamp", "timestamp"))
    return (end - start).total_seconds() * 1000


def test_trace_of_two_programs_is_one_with_its_error(app: Flask, client: FlaskClient) -> None:
    with program(app, SHOP, release="shop@1") as shop:
        with sentry_sdk.start_transaction(op="http.server", name="GET /cart") as root:
            for number in range(5):
                query = f"SELECT * FROM items WHERE id = {number}"
                sentry_sdk.start_span(op="db.sql.query", name=query).finish()
            with sentry_sdk.start_span(op="http.client", name="POST /reserve") as call:
                headers = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
                try:
                    raise OSError("stock does not answer")
                except OSError:
                    event_id = sentry_sdk.capture_exception()
        trace_id = root.trace_id
    with program(app, STOCK) as stock:
        going_on = sentry_sdk.continue_trace(headers, op="http.server", name="POST /reserve")
        with sentry_sdk.start_transaction(going_on) as there:
            there.set_status("internal_error")
    settle(app)
    found = client.get(f"/api/traces/{trace_id.upper()}").json
    assert found["trace_id"] == trace_id
    assert [(one["name"], one["project_id"], one["status"]) for one in found["transactions"]] == [
        ("GET /cart", SHOP, None),
        ("POST /reserve", STOCK, "internal_error"),
    ]
    assert found["transactions"][1]["parent_span_id"] == call.span_id
    sent = {one["span_id"]: one for one in spans_in(shop.sent) + spans_in(stock.sent)}
    assert len(sent) == 6
    assert {one["span_id"] for one in found["spans"]} == set(sent)
    for one in found["spans"]:
        given = sent[one["span_id"]]
        assert one["duration_ms"] == pytest.approx(ms_of(given), abs=0.002)
        assert datetime.fromisoformat(one["timestamp"]) == datetime.fromisoformat(
            given["timestamp"]
        ).replace(tzinfo=UTC)
        for name in ("parent_span_id", "op", "description"):
            assert one[name] == given[name]
        assert (one["project_id"], one["transaction"]) == (SHOP, "GET /cart")
    (event,) = found["events"]
    assert (event["event_id"], event["span_id"]) == (event_id, call.span_id)
    assert event["title"] == "OSError: stock does not answer"
    listed = client.get(f"/api/transactions?project_id={SHOP}").json["transactions"]
    assert [(one["name"], one["trace_id"], one["release"]) for one in listed] == [
        ("GET /cart", trace_id, "shop@1")
    ]
    assert listed[0]["event_id"] == found["transactions"][0]["event_id"] is not None


def test_streamed_spans_are_a_trace(app: Flask, client: FlaskClient) -> None:
    with program(app, SHOP, _experiments={"trace_lifecycle": "stream"}) as shop:
        with sentry_sdk.traces.start_span(name="job", attributes={"sentry.op": "task"}):
            for _ in range(3):
                with sentry_sdk.traces.start_span(name="SELECT 1"):
                    pass
        sentry_sdk.flush()
    settle(app)
    items = [item for envelope in shop.sent for item in envelope.items if item.type == "span"]
    sent = [one for item in items for one in item.payload["items"]]
    assert len(sent) == 4
    found = client.get(f"/api/traces/{sent[0]['trace_id']}").json
    assert {(one["span_id"], one["parent_span_id"]) for one in found["spans"]} == {
        (one["span_id"], one.get("parent_span_id")) for one in sent
    }
    assert {one["transaction"] for one in found["spans"]} == {"job"}
    assert [(one["name"], one["op"], one["event_id"]) for one in found["transactions"]] == [
        ("job", "task", None)
    ]


def spans_by_hand(payload: Any) -> dict[str, tuple[str | None, str]]:
    """Return parent and description of each span of a recorded item, of any form, by its id."""
    if "items" in payload:
        spans = [(one, one["name"]) for one in payload["items"]]
    else:
        spans = [(one, one.get("description") or "") for one in payload["spans"]]
    return {one["span_id"]: (one.get("parent_span_id"), text) for one, text in spans}


@pytest.mark.one_database
def test_traces_of_recorded_clients_have_all_of_their_spans(
    app: Flask, client: FlaskClient
) -> None:
    expected: dict[str, dict[str, tuple[str | None, str]]] = {}
    names: dict[str, set[str]] = {}
    for entry in ENTRIES:
        envelope = envelope_of(entry)
        items = [one for one in envelope.items if one.type in ("transaction", "span")]
        for item in items:
            of_stream = item.payload.get("items")
            trace = (of_stream or [item.payload["contexts"]["trace"]])[0]["trace_id"]
            expected.setdefault(trace, {}).update(spans_by_hand(item.payload))
            segments = [one["name"] for one in of_stream or () if one.get("is_segment")]
            found = segments if of_stream else [item.payload["transaction"]]
            names.setdefault(trace, set()).update(found)
        if items:
            parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)
    settle(app)
    assert len(expected) >= 4
    for trace, spans in expected.items():
        found = client.get(f"/api/traces/{trace}").json
        assert {
            one["span_id"]: (one["parent_span_id"], one["description"]) for one in found["spans"]
        } == spans
        assert {one["name"] for one in found["transactions"]} == names[trace]


def test_person_is_erased_from_the_names_of_transactions(app: Flask, client: FlaskClient) -> None:
    person = "ada.lovelace@example.org"
    send(app, transaction(1, [span(2, 1, description=f"mail {person}")], name=f"mail {person}"))
    settle(app)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["erase", "--email", person, "--yes"]).exit_code == 0
    assert person not in client.get("/api/transactions").text
    found = client.get(f"/api/traces/{TRACE}")
    assert len(found.json["spans"]) == 1 and person not in found.text


@pytest.mark.one_database
def test_single_spans_and_spans_of_other_traces(app: Flask, client: FlaskClient) -> None:
    other = streamed(9, None) | {"trace_id": "f" * 31 + "0"}
    send(app, stream([streamed(1, None, is_segment=True, name="segment"), other]))
    send(app, Item({"type": "span"}, span(2, 1, op="ui.click", description="click", data={})))
    settle(app)
    spans = client.get(f"/api/traces/{TRACE}").json["spans"]
    assert [(one["span_id"], one["description"]) for one in spans] == [
        (span_id(1), "segment"),
        (span_id(2), "click"),
    ]
    assert client.get(f"/api/traces/{'f' * 31}0").json["transactions"] == []
    for unknown in ("f" * 32, "x", "0" * 32):
        assert client.get(f"/api/traces/{unknown}").status_code == 404


def listed(client: FlaskClient, query: str) -> list[str]:
    """Return the names of the transactions of a list, read in pages of two."""
    names, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/transactions?{query}&limit=2{cursor}").json
        names += [one["event_id"][-2:] for one in page["transactions"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    return names


@pytest.mark.parametrize("scan_rows", [20_000, 4])
def test_transactions_come_in_the_order_asked(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, scan_rows: int
) -> None:
    monkeypatch.setattr(listing, "SCAN_ROWS", scan_rows)
    # Number: name, start, duration, status, project.
    given = {
        17: ("a", 0, 300, "ok", SHOP),
        18: ("a", 1000, 100, "internal_error", SHOP),
        19: ("a", 2000, 200, "ok", SHOP),
        20: ("a", 3000, 100, "aborted", SHOP),
        21: ("long" * 60, 4000, 900, "cancelled", SHOP),
        22: ("a", 5000, 800, "ok", STOCK),
        23: ("a", 6000, 50, "ok", SHOP),
    }
    with time_machine.travel(datetime.fromtimestamp(BEGAN + 60, UTC), tick=False):
        for number, (name, start, ms, status, project_id) in given.items():
            of_trace = {"trace_id": f"{number:032x}", "status": status}
            item = transaction(number, [], start=start, ms=ms, name=name, trace=of_trace)
            send(app, item, project_id=project_id)
            if number == 17:  # Once more, as a client that had no answer does.
                send(app, item, project_id=project_id)
        settle(app)
        of_a = f"project_id={SHOP}&name=a"
        assert listed(client, f"{of_a}&sort=newest") == ["17", "14", "13", "12", "11"]
        assert listed(client, f"{of_a}&sort=slowest") == ["11", "13", "14", "12", "17"]
        assert listed(client, f"{of_a}&sort=failing") == ["14", "12"]
        assert listed(client, "sort=newest") == ["17", "16", "15", "14", "13", "12", "11"]
        assert listed(client, "name=a&sort=failing") == ["14", "12"]
        assert listed(client, f"name={'long' * 60}") == ["15"]
        slowest = client.get("/api/transactions?sort=slowest&period=hour").json
        all_of_it = [one["duration_ms"] for one in slowest["transactions"]]
        looked_at_all = [900, 800, 300, 200, 100, 100, 50]
        assert all_of_it == (looked_at_all if scan_rows > 4 else [900, 800, 100, 50])
        assert (slowest["searched_back_to"] is None) == (scan_rows > 4)
    with time_machine.travel(datetime.fromtimestamp(BEGAN + 7300, UTC), tick=False):
        assert listed(client, f"{of_a}&period=hour") == []
        assert len(listed(client, f"{of_a}&period=day&sort=slowest")) == 5


@pytest.mark.one_database
def test_only_items_with_spans_count_against_the_bound(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_SPAN_BYTES", 2000)
    for number in (1, 2):
        send(app, transaction(number, []), Item({"type": "profile"}, {"rest": "x" * 5000}))
    settle(app)
    found = client.get(f"/api/traces/{TRACE}").json
    assert len(found["transactions"]) == 2 and not found["has_more_spans"]
    large = [span(number, 3) for number in range(10, 30)]
    send(app, transaction(3, large))
    send(app, transaction(4, []))
    settle(app)
    found = client.get(f"/api/traces/{TRACE}").json
    assert {one["span_id"] for one in found["transactions"]} == {span_id(n) for n in (1, 2, 4)}
    assert found["has_more_spans"]


@pytest.mark.one_database
def test_wrong_parameter_is_named(client: FlaskClient) -> None:
    for query, field in (
        ("sort=fastest", "sort"),
        ("project_id=x", "project_id"),
        ("period=eon", "period"),
        ("cursor=7", "cursor"),
        ("nmae=x", "nmae"),
    ):
        answer = client.get(f"/api/transactions?{query}")
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.one_database
def test_token_of_a_project_sees_its_part_of_a_trace(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_EVENTS", 2)
    app = make_app(API_TOKEN=API_TOKEN)
    create_project(parts_of(app).store, "Other", OTHER, str(OTHER) * 32)
    for number in (SHOP, STOCK):
        create_project(parts_of(app).store, str(number), number, str(number) * 32)
        send(app, transaction(number, [span(number + 10, number)]), project_id=number)
        event = {"message": "m", "contexts": {"trace": {"trace_id": TRACE}}}
        send(app, Item({"type": "event"}, event), project_id=number, event_id=f"{number:032x}")
    for number in (11, 12, 13):  # Newer ones that a limited token neither sees nor counts.
        send(app, Item({"type": "event"}, event), project_id=1, event_id=f"{number:032x}")
    settle(app)
    tokens = parts_of(app).accounts
    seen = {}
    for name, allowed in (("stock", [STOCK]), ("both", [SHOP, STOCK]), ("none", [OTHER])):
        token = tokens.create_token(name, ("read",), projects=allowed)
        headers = {"Authorization": f"Bearer {token}"}
        answer = app.test_client().get(f"/api/traces/{TRACE}", headers=headers)
        assert not answer.json.get("has_more_events")
        parts = ("transactions", "spans", "events")
        seen[name] = [{one["project_id"] for one in answer.json.get(part, ())} for part in parts]
        of_shop = app.test_client().get(f"/api/transactions?project_id={SHOP}", headers=headers)
        assert of_shop.status_code == (200 if SHOP in allowed else 403)
    assert seen == {"stock": [{STOCK}] * 3, "both": [{SHOP, STOCK}] * 3, "none": [set()] * 3}


def test_rows_go_with_their_envelopes_and_with_their_project(
    app: Flask, client: FlaskClient
) -> None:
    store = parts_of(app).store
    send(app, transaction(1, [span(3, 1)]), project_id=SHOP)
    send(app, transaction(2, [span(4, 2)]), stream([streamed(5, 2)]), project_id=STOCK)
    settle(app)
    with store.write() as conn:
        conn.execute(update(envelopes).values(state="local"))
        first = conn.scalar(select(func.min(envelopes.c.id)))
    remove_ids(store, [first])
    found = client.get(f"/api/traces/{TRACE}").json
    assert {one["project_id"] for one in found["transactions"] + found["spans"]} == {STOCK}
    delete_project(store, STOCK)
    assert client.get(f"/api/traces/{TRACE}").status_code == 404
    remove_deleted_projects(store, parts_of(app).destinations)
    with store.read() as conn:
        for table in (transactions, trace_envelopes):
            assert conn.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_events_with_large_attachments_are_listed_without_being_read(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their bodies are read for the ids of the spans only, and that has a bound."""
    for number, size in ((1, 10), (2, 90_000), (3, 40_000), (4, 40_000), (5, 40_000)):
        trace = {"trace_id": TRACE, "span_id": span_id(number)}
        event = Item({"type": "event"}, {"message": "odd", "contexts": {"trace": trace}})
        file = Item({"type": "attachment", "filename": "dump"}, b"x" * size)
        send(app, file, event, event_id=f"{number:032x}", project_id=SHOP)
    settle(app)
    inflated: list[int] = []

    def unpack(stored: bytes) -> bytes:
        body = packing.unpack(stored)
        inflated.append(len(body))
        return body

    monkeypatch.setattr(reading, "unpack", unpack)
    monkeypatch.setattr(reading, "MAX_BYTES", 85_000)
    found = client.get(f"/api/traces/{TRACE}").json["events"]
    expected = {5: span_id(5), 4: span_id(4), 3: None, 2: None, 1: span_id(1)}
    assert [(int(one["event_id"], 16), one["span_id"]) for one in found] == list(expected.items())
    assert sum(inflated) <= 85_000


def test_event_with_a_large_attachment_has_its_span(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only events count as what is read as JSON, and of these the newest come first."""
    for number, words in ((1, "first"), (2, "w" * 2000), (3, "third"), (4, "fourth")):
        trace = {"trace_id": TRACE, "span_id": span_id(number)}
        event = Item({"type": "event"}, {"message": words, "contexts": {"trace": trace}})
        file = Item({"type": "attachment", "filename": "dump"}, b"x" * 90_000)
        send(app, file, event, event_id=f"{number:032x}", project_id=SHOP)
    settle(app)
    monkeypatch.setattr(reading, "MAX_EVENT_BYTES", 2000)
    found = client.get(f"/api/traces/{TRACE}").json["events"]
    assert [one["span_id"] for one in found] == [span_id(4), span_id(3), None, span_id(1)]
