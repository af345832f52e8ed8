"""Reports of browsers: each violation an event, grouped by directive and blocked host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.events.queries import find_event
from app.events.tables import events
from app.protocol.event import Event
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
PATH = f"/api/42/security/?sentry_key={KEY}&sentry_release=shop@1&sentry_environment=live"
CSP = {
    "document-uri": "https://shop.example/cart",
    "violated-directive": "script-src-elem",
    "effective-directive": "script-src-elem",
    "original-policy": "default-src 'self'",
    "blocked-uri": "https://cdn.example/x.js?token=1",
    "status-code": 200,
}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def report(client: FlaskClient, body: Any, kind: str = "application/csp-report") -> dict[str, Any]:
    headers = {"User-Agent": FIREFOX}
    answer = client.post(PATH, data=json.dumps(body), content_type=kind, headers=headers)
    assert answer.status_code == 200, answer.json
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return dict(answer.json)


def stored_events(app: Flask) -> list[tuple[int, Event]]:
    with parts_of(app).store.read() as conn:
        rows = conn.execute(select(events.c.event_id).order_by(events.c.id)).scalars().all()
        found = [find_event(conn, event_id) for event_id in rows]
    return [(one.row.issue_id, one.event) for one in found if one]


def test_violation_is_an_event_that_names_directive_and_host(
    app: Flask, client: FlaskClient
) -> None:
    answer = report(client, {"csp-report": CSP})
    [(_, event)] = stored_events(app)
    assert event.event_id == answer["id"]
    assert event.title == "Blocked script-src-elem from cdn.example"
    assert (event.release, event.environment, event.logger) == ("shop@1", "live", "csp")
    assert event.tags["effective-directive"] == "script-src-elem"
    assert event.tags["blocked-uri"] == "https://cdn.example/x.js"
    assert event.tags["url"] == "https://shop.example/cart"
    assert event.tags["browser"] == "Firefox 140.0"
    assert event.user == {"ip_address": "127.0.0.1"}


def test_violations_are_grouped_by_directive_and_host(app: Flask, client: FlaskClient) -> None:
    for changed in (
        {},
        {"blocked-uri": "https://cdn.example/y.js", "document-uri": "https://shop.example/"},
        {"blocked-uri": "https://cdn2.example/x.js"},
        {"effective-directive": "img-src"},
    ):
        report(client, {"csp-report": {**CSP, **changed}})
    first, again, other_host, other_directive = (issue_id for issue_id, _ in stored_events(app))
    assert first == again
    assert len({first, other_host, other_directive}) == 3


def test_each_violation_of_a_list_is_an_event(app: Flask, client: FlaskClient) -> None:
    body = {"effectiveDirective": "img-src", "blockedURL": "data", "disposition": "enforce"}
    violation = {"type": "csp-violation", "age": 10, "url": "https://shop.example/a", "body": body}
    inline = {**violation, "body": {"effectiveDirective": "script-src", "blockedURL": "inline"}}
    other = {"type": "deprecation", "url": "https://shop.example/", "body": {"id": "x"}}
    report(client, [violation, other, inline, "no report"], "application/reports+json")
    assert [event.title for _, event in stored_events(app)] == [
        "Blocked img-src from data:",
        "Blocked inline script-src",
    ]


@pytest.mark.parametrize(
    ("blocked", "directive", "title"),
    [
        ("self", "style-src 'none'", "Blocked style-src from self"),
        ("", "style-src", "Blocked style-src from self"),
        ("eval", "script-src", "Blocked eval script-src"),
        ("blob", "worker-src", "Blocked worker-src from blob:"),
        ("wss://live.example:8443/s", "connect-src", "Blocked connect-src from wss://live.example:8443"),
        ("https://[half", "img-src", "Blocked img-src from https://[half"),
    ],
)  # fmt: skip
def test_what_was_blocked_is_named(
    app: Flask, client: FlaskClient, blocked: str, directive: str, title: str
) -> None:
    # As Firefox sends it, without the member "effective-directive".
    report(client, {"csp-report": {"blocked-uri": blocked, "violated-directive": directive}})
    assert [event.title for _, event in stored_events(app)] == [title]


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ({"expect-ct-report": {"hostname": "a.example"}}, "Expect-CT failed for a.example"),
        ({"hostname": "a.example", "known-pins": []}, "Public key pinning failed for a.example"),
    ],
)  # fmt: skip
def test_reports_of_certificates_are_events(
    app: Flask, client: FlaskClient, body: dict[str, Any], title: str
) -> None:
    report(client, body)
    assert [event.title for _, event in stored_events(app)] == [title]


@pytest.mark.parametrize("body", [{}, [], "x", {"csp-report": {}}, {"csp-report": []}, [[1]]])
def test_report_without_a_violation_stores_nothing(
    app: Flask, client: FlaskClient, body: Any
) -> None:
    assert report(client, body) == {}
    assert stored_events(app) == []


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/api/42/security/", b"{}", 401),
        ("/api/42/security/?sentry_key=0", b"{}", 403),
        (PATH, b"{", 400),
    ],
)
def test_report_that_cannot_be_taken_is_refused(
    app: Flask, client: FlaskClient, path: str, data: bytes, status: int
) -> None:
    assert client.post(path, data=data).status_code == status
    assert stored_events(app) == []
