"""Network errors of browsers and crash reports of Unreal Engine: kept, sent on, listed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.delivery.destinations import set_dsn
from app.events.tables import envelopes
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack
from app.protocol.security_report import MAX_REPORTS
from tests.conftest import parts_of
from tests.delivery_steps import deliver
from tests.ingest.conftest import add_projects
from tests.ingest.test_security import CSP
from tests.mini_sentry import MiniSentry
from tests.protocol.test_contents import NETWORK_ERROR, unreal_report

pytestmark = pytest.mark.one_database

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
SLOW = {"type": "deprecation", "body": {}}
VIOLATION = {"type": "csp-violation", "url": "https://shop.example/", "body": CSP}


@pytest.fixture
def app(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    app = make_app()
    parts = parts_of(app)
    add_projects(parts.store)
    with parts.store.write() as conn:
        set_dsn(conn, 42, mini_sentry.dsn)
    return app


def items_of(mini_sentry: MiniSentry) -> list[tuple[str, Any]]:
    """Return the items that were sent on."""
    return [(item.type, item.payload) for one in mini_sentry.envelopes for item in one.items]


@pytest.mark.parametrize("report", [NETWORK_ERROR, VIOLATION])
def test_more_reports_than_are_kept_are_413(
    app: Flask, client: FlaskClient, report: dict[str, Any]
) -> None:
    path = f"/api/42/security/?sentry_key={KEY}"
    assert client.post(path, json=[report] * (MAX_REPORTS + 1)).status_code == 413
    with parts_of(app).store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(envelopes)) == 0
    assert client.post(path, json=[report] * MAX_REPORTS).status_code == 200
    with parts_of(app).store.read() as conn:
        bodies = conn.scalars(select(envelopes.c.body)).all()
    assert sum(len(parse_envelope(unpack(body)).items) for body in bodies) == MAX_REPORTS


@pytest.mark.parametrize("path", ["nel", "security", "csp-report"])
def test_network_errors_are_kept_and_sent_on_and_violations_beside_them_are_events(
    app: Flask, admin_client: FlaskClient, mini_sentry: MiniSentry, path: str
) -> None:
    secret = {**NETWORK_ERROR, "url": "https://shop.example/pay?token=0a1b2c3d4e5f"}
    answer = admin_client.post(
        f"/api/42/{path}/?sentry_key={KEY}",
        data=json.dumps([NETWORK_ERROR, SLOW, secret, VIOLATION]),
        content_type="application/reports+json",
    )
    assert answer.status_code == 200
    deliver(app)
    sent = items_of(mini_sentry)
    assert sorted(kind for kind, _ in sent) == ["event", "nel", "nel"]
    first, second = (json.loads(payload) for kind, payload in sent if kind == "nel")
    assert first == NETWORK_ERROR and "0a1b2c3d4e5f" not in second["url"]
    listed = admin_client.get("/api/deliveries").json["deliveries"]
    [delivery] = [one for one in listed if "nel" in one["item_types"]]
    page = admin_client.get(f"/admin/deliveries/{delivery['id']}").text
    assert page.count("dns.name_not_resolved · https://shop.example/pay") == 2


def test_unreal_report_is_kept_and_sent_on_with_its_user(
    app: Flask, admin_client: FlaskClient, mini_sentry: MiniSentry
) -> None:
    report = unreal_report("CrashContext.runtime-xml", "<b>.dmp")
    answer = admin_client.post(f"/api/42/unreal/{KEY}/?UserID=ann%7C1", data=report)
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    deliver(app)
    assert items_of(mini_sentry) == [("unreal_report", report)]
    [envelope] = mini_sentry.envelopes
    assert envelope.headers["event_id"] == uuid.UUID(answer.text).hex
    assert envelope.headers["unreal_user_id"] == "ann|1"
    [delivery] = admin_client.get("/api/deliveries").json["deliveries"]
    shown = admin_client.get(f"/api/deliveries/{delivery['id']}").json
    assert [item["words"] for item in shown["items"]] == [
        "2 files · CrashContext.runtime-xml, <b>.dmp"
    ]
    page = admin_client.get(f"/admin/deliveries/{delivery['id']}").text
    assert "Unreal crash report" in page and "&lt;b&gt;.dmp" in page and "<b>.dmp" not in page


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"unreal/{KEY}", b"", 400),
        ("unreal/0000000000000000000000000000000f", b"x", 403),
        ("nel", b"[]", 401),
        (f"nel/?sentry_key={KEY}", b"{", 400),
        (f"nel/?sentry_key={KEY}", b'[1, null, {"type": 1}]', 200),
    ],
)
def test_what_is_refused_leaves_nothing(
    client: FlaskClient, stored: Callable[[], tuple[int, int]], path: str, body: bytes, status: int
) -> None:
    assert client.post(f"/api/42/{path}", data=body).status_code == status
    assert stored() == (0, 0)
