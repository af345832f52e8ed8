"""Who sent an envelope: counted as its user where it asks for that, and passed on to Sentry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.delivery.destinations import set_dsn
from app.events.queries import find_event
from app.events.tables import envelopes, events
from app.issues.tables import issues
from app.projects import create_project
from tests.conftest import parts_of
from tests.delivery_steps import deliver
from tests.mini_sentry import MiniSentry

pytestmark = pytest.mark.one_database
BOTH_WAYS = True

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
ERROR = {"platform": "javascript", "exception": {"values": [{"type": "TypeError", "value": "x"}]}}
AUTO = {**ERROR, "user": {"ip_address": "{{auto}}"}}


@pytest.fixture
def make_shop(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    def make(**settings: str) -> Flask:
        app = make_app(TRUSTED_PROXIES="1", **settings)
        create_project(parts_of(app).store, "Shop", 42, KEY)
        return app

    return make


def send(
    app: Flask,
    payload: dict[str, Any],
    address: str = "203.0.113.7",
    kind: str = "event",
    **headers: str,
) -> str:
    body = "\n".join(["{}", json.dumps({"type": kind}), json.dumps(payload)]).encode()
    sent = {"X-Sentry-Auth": f"Sentry sentry_key={KEY}", "X-Forwarded-For": address, **headers}
    answer = app.test_client().post("/api/42/envelope/", data=body, headers=sent)
    assert answer.status_code == 200, answer.json
    return str(answer.json.get("id"))


def payload_of(app: Flask, event_id: str) -> dict[str, Any]:
    with parts_of(app).store.read() as conn:
        stored = find_event(conn, event_id)
    assert stored is not None
    return stored.payload


def test_callers_of_auto_are_counted_as_users(make_shop: Callable[..., Flask]) -> None:
    app = make_shop()
    for address in ("203.0.113.7", "spoofed, 203.0.113.8", "203.0.113.8:5000"):
        event_id = send(app, AUTO, address)
    assert payload_of(app, event_id)["user"] == {"ip_address": "203.0.113.8"}
    with parts_of(app).store.read() as conn:
        users = conn.execute(select(issues.c.users).where(issues.c.project_id == 42)).scalar()
    assert users == 2


@pytest.mark.parametrize(
    ("payload", "known"),
    [
        (AUTO, True),
        ({**ERROR, "sdk": {"name": "s", "settings": {"infer_ip": "auto"}}}, True),
        ({"platform": "python", "sdk": {"settings": {"infer_ip": "auto"}}}, True),
        ({"platform": "python", "user": {"ip_address": "{{auto}}"}}, True),
        (ERROR, True),
        ({"platform": "python", "user": {"id": "7"}}, False),
        ({**AUTO, "sdk": {"name": "s", "settings": {"infer_ip": "never"}}}, False),
        ({**ERROR, "sdk": {"name": "s", "settings": {"infer_ip": "sometimes"}}}, False),
        ({**ERROR, "user": {"ip_address": None}}, False),
        ({**ERROR, "user": {"id": "7", "ip_address": "198.51.100.1"}}, False),
    ],
)
def test_address_is_stored_where_the_client_asks_for_it(
    make_shop: Callable[..., Flask], payload: dict[str, Any], known: bool
) -> None:
    app = make_shop()
    stored = payload_of(app, send(app, payload))
    address = (stored.get("user") or {}).get("ip_address")
    assert (address == "203.0.113.7") is known
    assert address != "{{auto}}"
    with parts_of(app).store.read() as conn:
        kept = conn.execute(select(envelopes.c.caller_address)).scalar()
    assert kept == ("203.0.113.7" if known else None)


@pytest.mark.parametrize(
    "settings",
    [{"SCRUB_KEYS": "ip_address"}, {"SCRUB_PATTERNS": r"203[.]0[.]\d{1,3}[.]\d{1,3}"}],
)
def test_settings_that_forbid_addresses_have_none_stored_nor_sent(
    make_shop: Callable[..., Flask], settings: dict[str, str]
) -> None:
    app = make_shop(**settings)
    stored = payload_of(app, send(app, AUTO))
    assert "ip_address" not in stored["user"]
    assert stored["sdk"]["settings"]["infer_ip"] == "never"
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(envelopes.c.caller_address)).scalar() is None


def test_sentry_gets_the_address_and_agent_of_the_sender(
    make_shop: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_shop()
    with parts_of(app).store.write() as conn:
        set_dsn(conn, 42, mini_sentry.dsn)
    send(app, AUTO)
    spans = {"version": 2, "ingest_settings": {"infer_ip": "auto", "infer_user_agent": "auto"}}
    send(app, {**spans, "items": []}, "203.0.113.9", "span", **{"User-Agent": "Shöp\x7f/1"})
    send(app, {"platform": "python", "message": "no caller"})
    deliver(app)
    told = {
        (headers.get("X-Sentry-Forwarded-For"), headers["User-Agent"])
        for headers in mini_sentry.headers
    }
    assert told == {
        ("203.0.113.7", "devenviro/1"),
        ("203.0.113.9", "Sh?p?/1"),
        (None, "devenviro/1"),
    }


@pytest.mark.parametrize(
    ("headers", "sdk"),
    [
        ({"X-Sentry-Auth": f"Sentry sentry_key={KEY}, sentry_client=raven-python/6.10.0"},
         {"name": "raven-python", "version": "6.10.0"}),
        ({"User-Agent": "sentry.cocoa/8.56 (iOS)"}, {"name": "sentry.cocoa", "version": "8.56"}),
        ({"User-Agent": "Mozilla/5.0 (X11)"}, {}),
    ],
)  # fmt: skip
def test_client_without_a_name_in_its_event_is_known_by_its_request(
    make_shop: Callable[..., Flask], headers: dict[str, str], sdk: dict[str, str]
) -> None:
    app = make_shop()
    event_id = send(app, {"message": "x"}, **headers)
    with parts_of(app).store.read() as conn:
        stored = find_event(conn, event_id)
    assert stored is not None and stored.event.sdk == sdk
    assert "sdk" not in stored.payload


def test_client_that_names_itself_in_its_event_stays(make_shop: Callable[..., Flask]) -> None:
    app = make_shop()
    event_id = send(app, {"message": "x", "sdk": {"name": "own", "version": "2"}})
    with parts_of(app).store.read() as conn:
        stored = find_event(conn, event_id)
    assert stored is not None and stored.event.sdk == {"name": "own", "version": "2"}


def test_agent_is_put_into_an_event_that_asks_for_it(make_shop: Callable[..., Flask]) -> None:
    app = make_shop()
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    asks = {**ERROR, "sdk": {"name": "s", "settings": {"infer_user_agent": "auto"}}}
    event_id = send(app, asks, **{"User-Agent": agent})
    with parts_of(app).store.read() as conn:
        stored = find_event(conn, event_id)
        assert conn.execute(select(events.c.id)).scalar() is not None
    assert stored is not None and stored.event.tags["browser"] == "Firefox 140.0"
