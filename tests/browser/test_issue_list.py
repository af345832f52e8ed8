"""The list of issues: how much of it one sees at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.store import utc_now
from tests.browser.conftest import Server, Watched, faults_of

VISIBLE = """[...document.querySelectorAll(".issues tbody tr")]
    .filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"""
TEXT = "the card of a customer was declined by the bank that issued it, and nobody knows why"


@pytest.mark.parametrize(("width", "height", "least"), [(1280, 800, 12), (390, 844, 5)])
def test_enough_issues_are_visible_below_the_chart(
    server: Server, new_page: Callable[..., Watched], width: int, height: int, least: int
) -> None:
    at = (utc_now() - timedelta(hours=30)).isoformat()
    for number in range(13):
        error = {"type": f"Declined{number}", "value": TEXT}
        server.insert({"exception": {"values": [error]}, "release": "2.4.0", "timestamp": at})
    page = new_page(width=width).page
    page.set_viewport_size({"width": width, "height": height})
    for path in ("/admin/issues?period=week", "/admin/issues?query=declined"):
        page.goto(path)
        chart = page.locator(".chart.range svg").bounding_box()
        assert chart and chart["height"] == pytest.approx(56, abs=1.5)
        assert page.evaluate(VISIBLE) >= least
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert faults_of(page) == []


def test_words_of_the_query_are_completed_by_keyboard(
    server: Server, new_page: Callable[..., Watched]
) -> None:
    server.insert({"message": "of ann", "tags": {"region": "eu west"}})
    page = new_page().page
    page.goto("/admin/issues")
    line = page.get_by_role("combobox", name="Query")
    line.press_sequentially("regio")
    page.get_by_role("option", name="region: tag").wait_for()
    assert faults_of(page) == []
    line.press("ArrowDown")
    line.press("Enter")
    page.get_by_role("option", name='region:"eu west"').wait_for()
    line.press("ArrowDown")
    line.press("Tab")
    assert line.input_value() == 'region:"eu west" '
    assert page.get_by_role("listbox", name="Completions").count() == 0
    line.press("Enter")
    page.wait_for_url("**query=region**")
