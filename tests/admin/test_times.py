"""Times on pages: scripts show each in the time zone of the user, wherever it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.admin import fragments
from app.store import utc_now
from tests.admin.test_pages import PAGES
from tests.conftest import parts_of
from tests.signals.logs.steps import entry, send

pytestmark = pytest.mark.one_database
TEMPLATES = Path(__file__).parents[2] / "templates"
# A time to the second or minute, as a person reads it, unless a chart or a range says it in UTC.
ABSOLUTE = re.compile(r">[^<]*\d{4}-\d\d-\d\d \d\d:\d\d[^<]*</(?!title)")


def test_absolute_times_of_templates_stand_in_attributes_or_are_made_local() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        for element in re.findall(r"<time\b[^>]*>", text):
            assert "data-local=" in element, (path.name, element)
        # Without the tags, what is left is what a person reads.
        read = re.sub(r"<[a-z](?:\"[^\"]*\"|[^>\"])*>", "", text)
        assert not re.search(r"\| *absolute\b", read), path.name
        assert "| clock" not in re.sub(r"<time\b.*?</time>", "", text), path.name


def test_times_that_are_no_ages_are_made_local() -> None:
    now = utc_now()
    for of in fragments.local_time, fragments.log_time:
        assert "data-local=" in of(now), of
    # What a line of a log pays for it, a hundred times a page.
    assert len(fragments.log_time(now)) <= len(fragments.time(now)) + 45


def test_every_page_loads_the_script_and_shows_no_other_absolute_time(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(parts_of(app), entry())
    for path in (*PAGES, "/admin/logs", "/admin/deliveries", "/admin/deliveries/1"):
        page = admin_client.get(path).text
        assert page.count("js/times.js") == 1, path
        rest = re.sub(r"<time\b[^>]*data-local.*?</time>", "", page)
        assert not ABSOLUTE.search(rest), (path, ABSOLUTE.search(rest))
    (place,) = re.findall(r"/admin/logs/[\d-]+", admin_client.get("/admin/logs").text)
    page = admin_client.get(place).text
    assert page.count("data-local") == 2 and "js/times.js" in page
