"""The range selector: links carry the range, and the browser session remembers it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.search.indexing import catch_up
from app.store import utc_now
from tests.conftest import parts_of
from tests.issues.test_merging import send

HERE = re.compile(r'class="here" aria-current="page">([^<]+)<')


def ranges(page: str) -> str:
    return re.search(r'aria-label="Range">.*?</nav>', page, re.S)[0]  # type: ignore[index]


def here(page: str) -> list[str]:
    return HERE.findall(ranges(page))


@pytest.fixture
def some(app: Flask) -> None:
    for bug, days in enumerate((0, 3, 20)):
        send(app, bug, timestamp=(utc_now() - timedelta(days=days)).isoformat())
    catch_up(parts_of(app).store)


@pytest.mark.usefixtures("some")
def test_events_are_those_that_happened_in_the_range(admin_client: FlaskClient) -> None:
    found = {
        name: len(
            re.findall(r"Bug\d: it broke", admin_client.get(f"/admin/events?period={name}").text)
        )
        for name in ("day", "week", "month", "all")
    }
    assert found == {"day": 1, "week": 2, "month": 3, "all": 3}
    start = (utc_now() - timedelta(days=4)).strftime("%Y-%m-%dT%H:%M")
    end = (utc_now() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    page = admin_client.get(f"/admin/events?start={start}&end={end}").text
    assert "Bug1" in page and "Bug0: it" not in page and f'value="{start}"' in page
    answer = admin_client.get(f"/api/events?start={start}&end={end}").json
    assert [event["title"] for event in answer["events"]] == ["Bug1: it broke"]


@pytest.mark.usefixtures("some")
def test_range_is_remembered_but_the_hour_is_not(admin_client: FlaskClient) -> None:
    assert here(admin_client.get("/admin/events").text) == ["Day"]
    admin_client.get("/admin/events?period=week")
    assert here(admin_client.get("/admin/events").text) == ["Week"]
    assert here(admin_client.get("/admin/events?period=hour").text) == ["Hour"]
    assert here(admin_client.get("/admin/events").text) == ["Week"]


@pytest.mark.usefixtures("some")
def test_links_of_the_range_keep_the_filter(admin_client: FlaskClient) -> None:
    bar = ranges(admin_client.get("/admin/events?level=error&period=week&before=9").text)
    assert 'href="/admin/events?query=level%3Aerror&amp;period=month"' in bar
    assert 'name="query" value="level:error"' in bar and 'name="before"' not in bar


@pytest.mark.parametrize("path", ["performance", "metrics", "ai-calls", "losses", "releases"])
def test_insights_offer_what_is_kept_of_them(admin_client: FlaskClient, path: str) -> None:
    admin_client.get("/admin/events?period=all")
    assert here(admin_client.get(f"/admin/{path}").text) == ["Day"]
    assert here(admin_client.get(f"/admin/{path}?period=month").text) == ["Month"]
    assert "From–to" not in admin_client.get(f"/admin/{path}").text


def test_wrong_range_is_named(admin_client: FlaskClient, app: Flask) -> None:
    send(app)
    page = admin_client.get("/admin/events?start=2026-11-02T10:00&end=2026-11-01T10:00").text
    assert "makes no range: the end has to be after the start" in page
