"""The ledger for programs: lists, one delivery, a file, and what may be done."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.delivery.tables import destinations
from app.store import utc_now
from tests.conftest import API_TOKEN, parts_of
from tests.delivery.shop import (
    accept,
    add_project,
    answering,
    park,
    rows_of,
    set_columns,
    states_of,
)
from tests.delivery_steps import accounting_of, deliver, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for

SHAPE = {"id", "event_id", "item_types", "state", "attempts", "received_at", "next_at"}


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    return make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_BASE_S=0.01)


@pytest.fixture
def caller(shop: Flask) -> FlaskClient:
    return shop.test_client()


def test_list_has_the_shape_of_the_contract_with_the_last_attempt(
    shop: Flask, caller: FlaskClient, mini_sentry: MiniSentry
) -> None:
    event_id = accept(shop)
    deliver(shop)
    body = caller.get("/api/deliveries").json
    assert (body["total"], body["next"], len(body["deliveries"])) == (1, None, 1)
    one = body["deliveries"][0]
    assert one.keys() >= SHAPE | {"destination"}
    assert (one["event_id"], one["item_types"], one["state"]) == (event_id, ["event"], "delivered")
    assert one["attempts"][0].keys() >= {"at", "status", "error", "ms", "next_at"}
    assert (one["attempts"][0]["status"], one["attempt_count"]) == (200, 1)
    assert one["destination"] == mini_sentry.dsn.replace("publickey@", "").rpartition("/")[0]
    alone = caller.get(f"/api/deliveries/{one['id']}").json
    assert [item["type"] for item in alone.pop("items")] == ["event"]
    assert alone.pop("more_items") == 0 and alone == one


def test_pages_join_and_total_is_told_where_it_is_cheap(shop: Flask, caller: FlaskClient) -> None:
    for number in range(5):
        accept(shop, str(number))
    first = caller.get("/api/deliveries?limit=3&state=pending").json
    second = caller.get(f"/api/deliveries?limit=3&state=pending&cursor={first['next']}").json
    ids = [one["id"] for one in first["deliveries"] + second["deliveries"]]
    assert ids == sorted(ids, reverse=True) and len(ids) == 5
    assert (first["total"], second["next"]) == (5, None)
    assert caller.get("/api/deliveries?project_id=1").json["total"] is None


@pytest.mark.parametrize(
    "query",
    ["state=lost", "limit=0", "limit=1001", "cursor=x", "cursor=99999999999999999999",
     "since=2026-01-01", "project_id=0", "unknown=1", "event_id=" + "a" * 37],
)  # fmt: skip
def test_wrong_parameter_is_named(caller: FlaskClient, query: str) -> None:
    answer = caller.get(f"/api/deliveries?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("number", ["7", "99999999999999999999999999"])
def test_unknown_delivery_is_404_for_whatever_is_asked(caller: FlaskClient, number: str) -> None:
    assert caller.get(f"/api/deliveries/{number}").status_code == 404
    for act in ("replay", "discard"):
        answer = caller.post(f"/api/deliveries/{number}/{act}", json={})
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_overview_shows_counts_circuit_limits_and_pause(
    shop: Flask, caller: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry, 2)
    add_project(shop, 2, "https://anotherlongkey@sentry.example:8443/7")
    caller.post("/api/deliveries/pause", json={"project_id": 2})
    accept(shop)
    body = caller.get("/api/deliveries/overview").json
    assert (body["counts"]["parked"], body["counts"]["pending"]) == (2, 1)
    assert body["oldest_waiting_at"] and body["delivered_per_minute"] == 0
    own, other = body["destinations"]
    assert (own["state"], other["state"]) == ("closed", "paused")
    assert other["host"] == "https://sentry.example:8443" and other["paused_at"]
    mini_sentry.answer = answering(401)
    with forwarding(shop):
        wait_for(lambda: _own(caller)["state"] == "open")
    assert _own(caller)["cause"].startswith("401")
    soon = (utc_now() + timedelta(minutes=1)).replace(microsecond=0)
    with parts_of(shop).store.write() as conn:
        conn.execute(update(destinations).values(probe_at=soon))
    assert datetime.fromisoformat(_own(caller)["probe_at"]) == soon


def _own(caller: FlaskClient) -> dict:
    return dict(caller.get("/api/deliveries/overview").json["destinations"][0])


# ---- the file -----------------------------------------------------------------------------------


def csv_of(caller: FlaskClient, query: str = "") -> list[dict[str, str]]:
    answer = caller.get(f"/api/deliveries.csv{query}")
    assert answer.status_code == 200 and answer.content_type.startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_file_has_what_the_list_has_over_several_pages(
    shop: Flask, caller: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.deliveries.CSV_PAGE", 2)
    for number in range(5):
        accept(shop, str(number))
    deliver(shop)
    listed = [str(one["id"]) for one in caller.get("/api/deliveries").json["deliveries"]]
    rows = csv_of(caller)
    assert [row["id"] for row in rows] == listed and len(rows) == 5
    assert rows[0]["last_status"] == "200" and rows[0]["state"] == "delivered"
    assert [row["id"] for row in csv_of(caller, "?limit=3")] == listed[:3]
    assert [row["id"] for row in csv_of(caller, f"?cursor={listed[2]}")] == listed[3:]
    assert csv_of(caller, "?state=parked") == []


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_the_file_is_a_formula(shop: Flask, caller: FlaskClient, beginning: str) -> None:
    text = f'{beginning}HYPERLINK("http://evil.example","a, b")'
    accept(shop)
    set_columns(shop, reason=text, item_types=f"{beginning}1+1")
    row = csv_of(caller)[0]
    assert row["reason"] == f"'{text}" and row["item_types"].startswith("'")


# ---- what is done -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("replay", {"ids": [1]}),
        ("1/replay", {}),
        ("pause", {"project_id": 1}),
        ("resume", {"project_id": 1}),
        ("discard", {"ids": [1]}),
        ("1/discard", {}),
    ],
)
def test_history_names_the_token_that_did_it(
    shop: Flask, caller: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, body: dict
) -> None:
    accept(shop)
    token = parts_of(shop).accounts.create_token("night-shift", ("write",))
    for headers, actor in [
        ({"Authorization": f"Bearer {token}"}, "token:night-shift"),
        ({}, "loopback"),
    ]:
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="app.tracker"):
            caller.post(f"/api/deliveries/{path}", json=body, headers=headers)
            caller.post("/api/deliveries/1/replay", json={}, headers=headers)
        lines = [record.getMessage() for record in caplog.records if record.name == "app.tracker"]
        assert len(lines) == 2
        assert all(line.startswith(f"{actor} ") for line in lines)
        assert token not in caplog.text


def test_replay_and_discard_by_ids_and_by_filter_return_counts(
    shop: Flask, caller: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry, 3)
    add_project(shop, 2, None)
    accept(shop, project_id=2)
    ids = [row.id for row in rows_of(shop, state="parked")]
    answer = caller.post("/api/deliveries/replay", json={"ids": ids[:1]})
    assert answer.json == {"replayed": 1, "skipped": 0}
    answer = caller.post("/api/deliveries/replay", json={"state": "local"})
    assert answer.json == {"replayed": 0, "skipped": 1}
    answer = caller.post("/api/deliveries/discard", json={"state": "parked", "project_id": 1})
    assert answer.json == {"discarded": 2}
    assert states_of(shop) == ["discarded", "discarded", "pending", "local"]
    assert accounting_of(shop)["balanced"] is True


def test_action_that_does_not_fit_the_state_is_409(
    shop: Flask, caller: FlaskClient, mini_sentry: MiniSentry
) -> None:
    accept(shop)
    deliver(shop)
    envelope_id = rows_of(shop)[0].id
    for act in ("replay", "discard"):
        assert caller.post(f"/api/deliveries/{envelope_id}/{act}", json={}).status_code == 409
    forced = caller.post(f"/api/deliveries/{envelope_id}/replay", json={"force": True})
    assert (forced.status_code, forced.json["replayed"]) == (200, 1)
    add_project(shop, 2, None)
    accept(shop, project_id=2)
    answer = caller.post(f"/api/deliveries/{envelope_id + 1}/replay", json={})
    assert answer.status_code == 409 and "no DSN" in answer.json["detail"]
    assert caller.post("/api/deliveries/pause", json={"project_id": 2}).status_code == 409
    assert caller.post("/api/deliveries/resume", json={"project_id": 9}).status_code == 404


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("replay", {}),
        ("replay", {"force": True}),
        ("replay", {"ids": []}),
        ("replay", {"ids": [1], "state": "parked"}),
        ("replay", {"ids": ["1"]}),
        ("replay", {"ids": [2**63]}),
        ("replay", {"state": "lost"}),
        ("replay", {"since": "yesterday"}),
        ("replay", {"all": True}),
        ("discard", {}),
        ("discard", {"project_id": 1}),
        ("pause", {}),
        ("resume", {"project_id": "1"}),
    ],
)
def test_body_that_names_nothing_or_too_much_does_nothing(
    shop: Flask, caller: FlaskClient, mini_sentry: MiniSentry, act: str, body: dict
) -> None:
    park(shop, mini_sentry)
    assert caller.post(f"/api/deliveries/{act}", json=body).status_code == 422
    assert states_of(shop) == ["parked"]


def test_pause_and_resume_answer_the_state(shop: Flask, caller: FlaskClient) -> None:
    paused = caller.post("/api/deliveries/pause", json={"project_id": 1}).json
    resumed = caller.post("/api/deliveries/resume", json={"project_id": 1}).json
    assert (paused["state"], resumed["state"]) == ("paused", "closed")


def test_writes_want_the_scope_and_on_this_machine_a_json_body(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(
        ENVIRONMENT="production",
        SECRET_KEY="s" * 32,
        API_TOKEN=API_TOKEN,
        SENTRY_DSN=mini_sentry.dsn,
    )
    accept(app)
    client, path = app.test_client(), f"/api/deliveries/{rows_of(app)[0].id}/discard"
    reader = parts_of(app).accounts.create_token("reader", ("read",))
    assert client.post(path, json={}).status_code == 401
    narrow = client.post(path, headers={"Authorization": f"Bearer {reader}"})
    assert narrow.status_code == 403
    assert states_of(app) == ["pending"]
    # With a token no body is needed.
    allowed = client.post(path, headers={"Authorization": f"Bearer {API_TOKEN}"})
    assert (allowed.status_code, allowed.json) == (200, {"discarded": 1})


def test_form_of_a_foreign_page_does_nothing(shop: Flask, caller: FlaskClient) -> None:
    accept(shop)
    envelope_id = rows_of(shop)[0].id
    assert caller.post(f"/api/deliveries/{envelope_id}/discard").status_code == 401
    assert caller.post("/api/deliveries/discard", data={"state": "pending"}).status_code == 401
    assert states_of(shop) == ["pending"]


def test_key_of_a_dsn_is_nowhere_even_if_sentry_repeats_it(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    login: Callable[[FlaskClient], FlaskClient],
    capfd: pytest.CaptureFixture[str],
) -> None:
    key = "0123456789abcdef" + "deadbeefdeadbeef"
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    add_project(app, 2, f"https://{key}:{key[::-1]}@sentry.example/7")
    client = login(app.test_client())
    mini_sentry.answer = answering(403, "unknown sentry_key publickey")
    accept(app)
    with forwarding(app):
        wait_for(lambda: _own(client)["state"] == "open")
    envelope_id = rows_of(app)[0].id
    assert "unknown sentry_key [key]" in _own(client)["cause"]
    client.post("/api/deliveries/pause", json={"project_id": 2})
    client.post("/api/deliveries/replay", json={"state": "retry"})
    pages = [
        "/api/deliveries", "/api/deliveries.csv", "/api/deliveries/overview", "/metrics",
        f"/api/deliveries/{envelope_id}", "/system/status", "/health", "/admin/",
        "/admin/deliveries", f"/admin/deliveries/{envelope_id}", "/admin/status",
    ]  # fmt: skip
    told = "".join(client.get(page).text for page in pages)
    told += client.post("/api/deliveries/resume", json={"project_id": 2}).text
    with parts_of(app).store.read() as conn:
        for table in ("attempts", "envelopes", "counters", "client_reports"):
            told += str(conn.exec_driver_sql(f"SELECT * FROM {table}").all())
        own = destinations.c.project_id == 1
        told += str(conn.execute(destinations.select().where(own)).one())
    captured = capfd.readouterr()
    told += captured.out + captured.err
    assert not [secret for secret in (key, key[::-1], "publickey") if secret in told]
