"""A filter of a list is one class: the API, the OpenAPI document and the page have its fields."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sentry_sdk as sentry
from flask import Flask
from flask.testing import FlaskClient

from app.admin.filter_bar import OF_RANGE, read_choice
from app.admin.issues import IssueForm
from app.delivery.filter import DeliveryFilter
from app.events.filter import EventFilter
from app.inputs import Filter, controls_of
from app.issues.feedback import FeedbackFilter
from app.issues.filter import IssueFilter
from app.search.indexing import catch_up
from tests.conftest import parts_of

FILTERS: dict[str, type[Filter]] = {
    "events": EventFilter,
    "issues": IssueFilter,
    "deliveries": DeliveryFilter,
    "feedback": FeedbackFilter,
}


def titles(page: str) -> list[str]:
    return re.findall(r'class="target"[^>]*>([^<]+)<', page)


def report(app: Flask, transaction: str, message: str) -> None:
    with sentry.new_scope() as scope:
        scope.set_transaction_name(transaction)
        scope.capture_message(message)
    parts_of(app).intake.flush()


@pytest.mark.parametrize("name", FILTERS)
def test_api_asks_for_each_field_of_a_filter(client: FlaskClient, name: str) -> None:
    operation = client.get("/openapi.json").json["paths"][f"/api/{name}"]["get"]
    described = {parameter["name"] for parameter in operation["parameters"]}
    assert set(FILTERS[name].model_fields) <= described


# Issues and events have a query line instead.
@pytest.mark.parametrize("name", ["deliveries", "feedback"])
def test_bar_of_a_page_asks_for_each_field_that_has_a_control(
    app: Flask, admin_client: FlaskClient, name: str
) -> None:
    report(app, "checkout", "one")
    page = admin_client.get(f"/admin/{name}?q=one&project=1").text
    bar = re.search(r'<form class="filters".*?</form>', page, re.S)[0]
    # The state of a delivery is a tab, the issue of feedback a link, the range a bar of its own.
    assert set(controls_of(FILTERS[name])) - {"state", "issue", *OF_RANGE} <= set(
        re.findall(r'name="(\w+)"', bar)
    )


def test_events_are_narrowed_to_a_transaction(app: Flask, admin_client: FlaskClient) -> None:
    report(app, "checkout", "a")
    report(app, "search", "b")
    found = admin_client.get("/api/events?transaction=checkout").json["events"]
    assert [event["title"] for event in found] == ["a"]
    assert admin_client.get("/api/events?transaction=check").json["events"] == []
    catch_up(parts_of(app).store)
    page = admin_client.get("/admin/events?transaction=search").text
    assert titles(page) == ["b"] and 'value="transaction:search"' in page


def test_wrong_value_is_named_by_the_api_and_left_out_by_the_page(
    app: Flask, admin_client: FlaskClient
) -> None:
    report(app, "checkout", "a")
    refused = admin_client.get("/api/events?level=loud")
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == ["level"]
    page = admin_client.get("/admin/deliveries?state=loud&project=1").text
    assert "There is no state “loud”. It was left out." in page and titles(page) == ["a"]


@pytest.mark.parametrize(
    ("form", "given", "values", "problems"),
    [
        (EventFilter, {"project": "2.0", "issue_id": "7"}, {"project": "2"}, 0),
        (EventFilter, {"q": "  x\x00 ", "level": ""}, {"q": "x\N{REPLACEMENT CHARACTER}"}, 0),
        (EventFilter, {"q": "x" * 600}, {"q": "x" * 500}, 0),
        (EventFilter, {"start": "2026-01-01", "end": "1e9"}, {"start": "2026-01-01"}, 1),
        (IssueForm, {"status": "", "sort": "users"}, {"sort": "users"}, 0),
        (IssueForm, {"status": "merged", "project": "0"}, {}, 2),
        (DeliveryFilter, {"state": "lost", "event": "e" * 40}, {"event": "e" * 36}, 1),
        (FeedbackFilter, {"project": str(2**31), "issue": str(2**62)}, {"issue": str(2**62)}, 1),
    ],
)  # fmt: skip
def test_page_reads_what_it_can(
    form: type[Filter], given: dict[str, str], values: dict[str, Any], problems: int
) -> None:
    choice = read_choice(form, given)
    assert (choice.values, len(choice.problems)) == (values, problems)
