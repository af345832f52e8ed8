"""The range of an issue's page, and the event that a search led to."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.issues.similarity_index import read_unread
from app.search.indexing import catch_up
from app.store import utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.feedback_envelopes import feedback_item, send

PERIODS = ("hour", "day", "week", "month", "quarter", "all")


@pytest.fixture
def issue(app: Flask) -> str:
    """Return the address of an issue with an event and user of now, and another of 20 days ago."""
    for days, user in ((20, "ada"), (0, "bob")):
        at = (utc_now() - timedelta(days=days)).isoformat()
        payload = {"message": "same", "timestamp": at, "user": {"id": user}, "tags": {"who": user}}
        insert(app, payload)
    catch_up(parts_of(app).store)
    return "/admin/issues/1"


def facts(page: str) -> str:
    found = re.search(r'<p class="facts">(.*?)<span>first', page)
    assert found
    return " ".join(unescape(re.sub("<[^>]*>", "", found[1])).split())


def test_figures_are_those_of_the_range_beside_the_whole(
    admin_client: FlaskClient, issue: str
) -> None:
    whole = admin_client.get(issue).text
    assert facts(whole) == "2 events 2 users in all"
    week = admin_client.get(f"{issue}?period=week").text
    assert facts(week) == "1 of 2 events 1 of 2 users in the last 7 days"
    assert 'aria-label="1 event; at most 1 in 1 hour"' in week
    day = admin_client.get(f"{issue}?period=day").text
    assert 'aria-label="1 event; at most 1 in 1 hour; 0 in the range before"' in day
    between = admin_client.get(f"{issue}?start=2020-01-01&end=2020-02-01").text
    assert "0 of 2 events 0 of 2 users from 2020-01-01 00:00 until 2020-02-02" in facts(between)


def test_range_is_carried_by_the_links_and_remembered(
    admin_client: FlaskClient, issue: str
) -> None:
    page = admin_client.get(f"{issue}?period=week").text
    assert re.search(rf'href="{issue}\?event=\w+&amp;period=week" rel="prev"', page)
    assert f'href="{issue}?tab=history&amp;period=week"' in page
    for path in (issue, f"{issue}?tab=events"):
        assert "in the last 7 days" in facts(admin_client.get(path).text)
    assert "in the last hour" in facts(admin_client.get(f"{issue}?period=hour").text)
    assert "in the last 7 days" in facts(admin_client.get(issue).text)
    assert "in all" in facts(admin_client.get(f"{issue}?period=all").text)
    assert "in all" in facts(admin_client.get(issue).text)


def test_wrong_range_shows_the_whole_issue(admin_client: FlaskClient, issue: str) -> None:
    page = admin_client.get(f"{issue}?start=yesterday").text
    assert facts(page) == "2 events 2 users in all" and "start=yesterday&amp;" not in page


def test_search_leads_to_the_newest_event_that_matches(
    admin_client: FlaskClient, issue: str
) -> None:
    found = admin_client.get("/admin/issues?query=who:ada&period=month").text
    link = re.search(r'class="target"[^>]* href="([^"]+)"', found)
    assert link
    page = admin_client.get(unescape(link[1])).text
    assert "1 of 2</b>" in page and "<code>who:ada</code> · <a" in page
    latest = re.search(r'href="([^"]+)">show the latest', page)
    newer = re.search(r'href="([^"]+)" rel="next"', page)
    assert latest and newer
    for path in (latest[1], newer[1]):
        shown = admin_client.get(unescape(path)).text
        assert "2 of 2</b>" in shown and "who:ada</code>" not in shown


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("who:eve", "No stored event matches <code>who:eve</code>"),
        ("is:unresolved", "Latest event"),
        ("who:[", "Latest event"),
    ],
)
def test_search_without_a_matching_event_shows_the_latest(
    admin_client: FlaskClient, issue: str, query: str, words: str
) -> None:
    page = admin_client.get(issue, query_string={"query": query}).text
    assert words in page and "2 of 2</b>" in page


@pytest.mark.parametrize(
    "address",
    [
        *(f"?period={name}" for name in PERIODS),
        *("?start=2026-01-01&end=2026-01-20", "?tab=events"),
        *(f"?query=same+{term}&period=week" for term in ("who:bob", "who:eve", "project:1")),
        "?query=who:bob+release:latest+project:DevEnviro&period=quarter",
    ],
)
def test_page_asks_sixteen_times_at_most(
    app: Flask, admin_client: FlaskClient, issue: str, address: str
) -> None:
    event_id = admin_client.get("/api/events").json["events"][0]["event_id"]
    send(app, feedback_item("it broke", event_id))
    admin_client.post("/api/issues/1/comments", json={"text": "who saw it?"})
    store = parts_of(app).store
    if not store.is_sqlite:
        pytest.skip("only the driver of SQLite reports each statement")
    read_unread(store, 10)
    asked: list[str] = []
    with store.read() as conn:
        driver = conn.connection.driver_connection
    assert driver is not None
    driver.set_trace_callback(asked.append)
    try:
        assert admin_client.get(issue + address).status_code == 200
    finally:
        driver.set_trace_callback(None)
    # FTS5 asks for its own settings now and then.
    asked = [one for one in asked if "search_events_config" not in one]
    questions = [one for one in asked if one.lstrip().startswith(("SELECT", "WITH"))]
    assert 5 <= len(questions) <= 16, questions
