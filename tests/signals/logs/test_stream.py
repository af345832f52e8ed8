"""Lines that the SDK of Python sends are on the page and in the API, each once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient
from sentry_sdk import logger
from sentry_sdk.envelope import Envelope as SdkEnvelope
from sentry_sdk.transport import Transport

from app.protocol.envelope import parse_envelope
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from tests.conftest import Parts, parts_of
from tests.signals.logs.steps import entry, send

LINES = 230


class Captured(Transport):
    """Keeps the envelopes that the SDK would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def capture_envelope(self, envelope: SdkEnvelope) -> None:
        self.sent.append(envelope.serialize())


@pytest.fixture
def stream(app: Flask) -> Iterator[list[bytes]]:
    """Return the envelopes of LINES lines of a program, as its SDK sends them."""
    captured = Captured()
    with sentry_sdk.isolation_scope(), sentry_sdk.new_scope() as scope:
        client = sentry_sdk.Client(
            "http://key@127.0.0.1/1",
            transport=captured,
            enable_logs=True,
            release="shop@2.0",
            environment="staging",
        )
        scope.set_client(client)
        for number in range(LINES):
            level = ("info", "warning", "error")[number % 3]
            getattr(logger, level)(
                "order {order} paid", order=number, attributes={"lane": number % 5}
            )
        client.close(timeout=2)
        yield captured.sent


def accept(parts: Parts, stream: list[bytes]) -> None:
    for body in stream:
        parts.intake.accept(parse_envelope(body), project_id=1, timeout_s=5)
    catch_up(parts.store, SIGNALS)


def all_of(client: FlaskClient, path: str) -> list[dict[str, object]]:
    lines, cursor = [], ""
    while True:
        page = client.get(f"{path}&limit=90{cursor}").json
        lines += page["logs"]
        if page["next"] is None:
            return lines
        cursor = f"&cursor={page['next']}"


def test_known_stream_of_the_sdk_equals_an_independent_count(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, stream: list[bytes]
) -> None:
    accept(parts_of(app), stream)
    sent = [
        line
        for body in stream
        for row in body.split(b"\n")
        if b'"items":[' in row
        for line in json.loads(row)["items"]
    ]
    assert len(sent) == LINES
    lines = all_of(client, "/api/logs?project_id=1")
    assert sorted(line["body"] for line in lines) == sorted(line["body"] for line in sent)
    assert [line["timestamp"] for line in lines] == sorted(
        (line["timestamp"] for line in lines), reverse=True
    )
    assert {(line["release"], line["environment"]) for line in lines} == {("shop@2.0", "staging")}
    warnings = all_of(client, "/api/logs?level=warning")
    assert len(warnings) == sum(line["level"] == "warn" for line in sent)
    of_lane = all_of(client, "/api/logs?query=lane:3")
    assert len(of_lane) == sum(line["attributes"]["lane"]["value"] == 3 for line in sent)
    page = admin_client.get("/admin/logs?query=lane:3&period=all").text
    assert len(re.findall(r'<li id="log-', page)) == len(of_lane)


@pytest.mark.one_database
def test_export_has_every_line_once(
    app: Flask, client: FlaskClient, admin_client: FlaskClient, stream: list[bytes]
) -> None:
    accept(parts_of(app), stream)
    expected = [line["body"] for line in all_of(client, "/api/logs?level=error")]
    for path in "/api/logs/export?level=error", "/admin/logs.ndjson?query=level:error":
        answer = admin_client.get(path)
        assert answer.content_type == "application/x-ndjson"
        assert [json.loads(line)["body"] for line in answer.text.splitlines()] == expected


@pytest.mark.one_database
def test_line_of_a_sdk_of_javascript_is_a_line_of_its_span(app: Flask, client: FlaskClient) -> None:
    span = "00f067aa0ba902b7"
    named = {"sentry.trace.parent_span_id": span}
    send(parts_of(app), entry(attributes=named), entry(attributes=named, span_id="f" * 16))
    lines = client.get("/api/logs").json["logs"]
    assert {line["span_id"] for line in lines} == {span, "f" * 16}
