"""Traces of which only lines of logs are stored."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.signals.logs.of_trace import read_trace_or_lines
from tests.conftest import parts_of
from tests.signals.logs.steps import TRACE, entry, send

SPAN = "00f067aa0ba902b7"


def test_trace_of_lines_alone_has_a_page_and_an_answer(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    send(parts_of(app), entry("order paid", span_id=SPAN), entry("order sent"))
    answer = client.get(f"/api/traces/{TRACE}")
    lists = {name: answer.json[name] for name in ("transactions", "spans", "events")}
    assert answer.status_code == 200 and lists == {"transactions": [], "spans": [], "events": []}
    page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert "order paid" in page and "order sent" in page
    assert re.search(rf'href="[^"]*query=trace:{TRACE}[^"]*">2 log lines</a> are', page)
    of_span = admin_client.get(f"/admin/traces/{TRACE}?span={SPAN}").text
    assert "order paid" in of_span and "order sent" not in of_span
    for unknown in (f"{TRACE}?span={SPAN[::-1]}", TRACE[::-1]):
        assert admin_client.get(f"/admin/traces/{unknown}").status_code == 404
    assert client.get(f"/api/traces/{TRACE[::-1]}").status_code == 404


@pytest.mark.one_database
def test_lines_of_other_projects_make_no_trace(app: Flask) -> None:
    send(parts_of(app), entry())
    with parts_of(app).store.read() as conn:
        assert read_trace_or_lines(conn, TRACE, frozenset({1}))
        assert read_trace_or_lines(conn, TRACE, frozenset({2})) is None
