"""Logs on pages: beside an event, completed in the query line, and what an empty list says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.store import utc_now
from tests.admin.hostile import insert
from tests.admin.test_query_completion import completed
from tests.conftest import parts_of
from tests.questions import questions
from tests.signals.logs.steps import TRACE, entry, send

pytestmark = pytest.mark.one_database


def test_page_of_an_error_shows_the_lines_of_its_trace(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(parts_of(app), entry("of the trace"), entry("of another", trace_id="a" * 32))
    event_id = insert(app, {"message": "declined", "contexts": {"trace": {"trace_id": TRACE}}})
    with questions() as asked:
        page = admin_client.get(f"/admin/events/{event_id}").text
    assert "of the trace" in page and "of another" not in page
    assert f"query=trace:{TRACE}" in page and len(asked) <= 12


def test_page_of_an_error_without_a_trace_shows_the_lines_of_the_minute_before(
    app: Flask, admin_client: FlaskClient
) -> None:
    now = utc_now()
    times = {"too old": -90, "just before": -20, "later": 20}
    send(parts_of(app), *(entry(text, now + timedelta(seconds=s)) for text, s in times.items()))
    event_id = insert(app, {"message": "declined", "timestamp": now.timestamp()})
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "just before" in page and "too old" not in page and ">later<" not in page


def test_empty_list_leads_to_a_project_and_attributes_are_completed(
    app: Flask, admin_client: FlaskClient
) -> None:
    page = admin_client.get("/admin/logs").text
    assert "enable_logs=True" in page and "Set up a project" in page
    send(parts_of(app), entry(attributes={"plan": "gold one", "odd name": 1}))
    assert completed(admin_client, "pla", list="logs") == ["plan:"]
    assert completed(admin_client, "plan:", list="logs") == ['plan:"gold one"']
    assert completed(admin_client, "!lev", list="logs") == ["!level:"]
    assert completed(admin_client, "odd", list="logs") == ["tags[odd name]:"]
    assert completed(admin_client, "level:w", list="logs") == ["level:warning"]
