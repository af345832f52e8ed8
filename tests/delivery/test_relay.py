"""Sentry takes what is forwarded: its parser finds nothing wrong that the client's own had not."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.delivery.destinations import set_dsn
from app.projects import create_project
from app.sentry import capture_exception, set_user_context
from app.web import access
from tests.conftest import parts_of
from tests.delivery_steps import deliver
from tests.ingest.conftest import add_projects
from tests.ingest.corpus import PROJECTS, load
from tests.mini_sentry import MiniSentry
from tests.protocol.corpus import ENTRIES, envelope_of
from tests.relay_parser import errors_of

pytestmark = pytest.mark.one_database

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
REPORT = {
    "document-uri": "https://shop.example/cart",
    "effective-directive": "script-src-elem",
    "blocked-uri": "https://cdn.example/x.js",
    "status-code": 200,
    "line-number": 7,
}

AUTO = {"infer_ip": "auto"}


def test_parser_says_what_is_wrong() -> None:
    assert errors_of({"user": {"ip_address": "nowhere"}}) == {(".user.ip_address", "invalid_data")}
    assert errors_of({"user": {"ip_address": "203.0.113.7"}}) == set()


def test_events_of_real_clients_have_no_new_errors(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app()
    add_projects(parts_of(app).store)
    with parts_of(app).store.write() as conn:
        for project_id in PROJECTS:
            set_dsn(conn, project_id, mini_sentry.dsn)
    client = app.test_client()
    own: dict[str, set[tuple[str, str]]] = {}
    for entry, recorded in zip(ENTRIES, load(), strict=True):
        headers = [
            header for header in recorded.headers if header[0].lower() != "transfer-encoding"
        ]
        answer = client.post(recorded.path, data=recorded.body, headers=headers)
        item = envelope_of(entry).event()
        if answer.status_code == 200 and item is not None and answer.json.get("id"):
            own[answer.json["id"]] = errors_of(item.payload)
    deliver(app)
    forwarded = {event["event_id"]: event for event in _with_ids(mini_sentry)}
    assert len(forwarded) > 40
    new = {id: errors_of(event) - own[id] for id, event in forwarded.items()}
    assert {id: errors for id, errors in new.items() if errors} == {}


def _with_ids(mini_sentry: MiniSentry) -> list[dict[str, Any]]:
    pairs = [(envelope.headers, envelope.event()) for envelope in mini_sentry.envelopes]
    return [{**item.payload, "event_id": headers["event_id"]} for headers, item in pairs if item]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("security", {"csp-report": REPORT}),
        ("security", {"expect-ct-report": {"hostname": "shop.example", "port": 443}}),
        ("security", {"hostname": "shop.example", "known-pins": ['pin-sha256="x"']}),
        ("store", {"platform": "javascript", "message": "x", "user": {"ip_address": "{{auto}}"}}),
        ("store", {"message": "x", "request": {"env": {"REMOTE_ADDR": "{{auto}}"}}}),
        ("store", {"message": "x", "sdk": {"name": "s", "version": "1", "settings": AUTO}}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"SCRUB_KEYS": "ip_address"}])
def test_what_the_server_puts_in_is_taken(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    path: str,
    body: dict[str, Any],
    settings: dict[str, str],
) -> None:
    app = make_app(**settings)
    create_project(parts_of(app).store, "Shop", 42, KEY)
    with parts_of(app).store.write() as conn:
        set_dsn(conn, 42, mini_sentry.dsn)
    url = f"/api/42/{path}/?sentry_key={KEY}"
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    assert app.test_client().post(url, data=json.dumps(body), headers=agent).status_code == 200
    deliver(app)
    [event] = mini_sentry.events()
    assert errors_of(event) == set()


def test_own_errors_are_taken(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_SEND_PII="true")

    @app.get("/fails")
    def fails() -> str:
        set_user_context(7, "ada", "ada@shop.example")
        try:
            raise ValueError("a total of −1 €")
        except ValueError as error:
            capture_exception(error, {"cart": [1, {"deep": None}]})
        return "ok"

    access.anyone(fails)
    headers = {"X-Forwarded-For": "spoofed", "User-Agent": "Mozilla/5.0"}
    # In a context of its own, as a server's thread has: the SDK notes a running request in it.
    answer = contextvars.Context().run(app.test_client().get, "/fails", headers=headers)
    assert answer.status_code == 200
    deliver(app)
    [event] = mini_sentry.events()
    assert errors_of(event) == set()
    assert event["user"]["ip_address"] == "127.0.0.1"
