"""Queries for events through the API and the page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.search.indexing import catch_up
from tests.api.test_triage import send
from tests.conftest import parts_of


def found(client: FlaskClient, query: str, **more: Any) -> str:
    answer = client.get("/api/events", query_string={"query": query, **more})
    assert answer.status_code == 200, answer.text
    return "".join(event["title"] for event in answer.json["events"])


@pytest.fixture
def filled(app: Flask) -> None:
    send(app, "a", level="fatal", environment="prod", tags={"region": "eu"})
    send(app, "b", level="info", environment="test", user={"email": "ann@example.com"})
    send(app, "c", environment="prod", tags={"level": "gold"})
    catch_up(parts_of(app).store)


def test_events_are_found_by_terms_and_parameters(filled: None, client: FlaskClient) -> None:
    for query, titles in [
        ("", "cba"),
        ("level:fatal", "a"),
        ("!level:fatal", "cb"),
        ("environment:prod", "ca"),
        ("region:eu", "a"),
        ("tags[level]:gold", "c"),
        ("user.email:ann@example.com", "b"),
    ]:
        assert found(client, query) == titles, query
    assert found(client, "environment:prod", level="fatal") == "a"
    assert found(client, "environment:prod", q="c") == "c"
    assert found(client, "", period="hour") == "cba"
    assert found(client, "", end="2001-01-01") == ""
    first = client.get("/api/events?query=environment:prod&limit=1").json
    assert found(client, "environment:prod", cursor=first["next"]) == "a"
    assert first["searched_back_to"] is None


def test_wrong_query_is_refused_with_its_place(client: FlaskClient) -> None:
    for query, message in [
        ("is:new", "is: finds issues, not events at 1"),
        ('a "b', "the quote is not closed at 3"),
    ]:
        answer = client.get("/api/events", query_string={"query": query})
        assert answer.status_code == 422
        assert answer.json["errors"] == [{"field": "query", "message": message}]


def test_page_searches_and_says_what_is_not_searchable_yet(
    app: Flask, filled: None, admin_client: FlaskClient
) -> None:
    page = admin_client.get("/admin/events?query=environment:prod&level=fatal").text
    assert re.findall(r'class="target"[^>]*>([^<]+)<', page) == ["a"]
    assert "not searchable yet" not in page
    send(app, "d", environment="prod")
    page = admin_client.get("/admin/events?query=environment:prod").text
    assert "The newest 1 event is not searchable yet." in page
    wrong = admin_client.get("/admin/events?query=is:new").text
    assert "Is: finds issues, not events (at 1)" in wrong and 'class="target"' not in wrong


def test_issue_that_was_searched_for_opens_with_the_matching_event(
    app: Flask, admin_client: FlaskClient
) -> None:
    for region in ("eu", "us", "us"):
        send(app, "same", tags={"region": region})
    catch_up(parts_of(app).store)
    page = admin_client.get("/admin/issues?query=region:eu").text
    address = unescape(re.search(r'class="target"[^>]*href="([^"]+)"', page)[1])
    assert address == "/admin/issues/1?query=region%3Aeu&period=week"
    oldest = admin_client.get("/api/events").json["events"][-1]["event_id"]
    assert f"/admin/events/{oldest}" in admin_client.get(address).text
