"""The header on a wide and on a narrow screen, the search box and its suggestions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Watched, faults_of

NewPage = Callable[..., Watched]


@pytest.mark.parametrize("scripts", [True, False])
def test_menu_of_a_narrow_screen_opens_the_navigation(new_page: NewPage, scripts: bool) -> None:
    page = new_page(width=390, java_script_enabled=scripts).go("/admin/alerts")
    assert page.locator("header.top").bounding_box()["height"] <= 56  # type: ignore[index]
    entry = page.get_by_role("link", name="Deliveries", exact=True)
    expect(entry).not_to_be_visible()
    page.locator(".menu-button > summary").click()
    expect(page.locator("header .state")).to_be_visible()
    if scripts:
        assert faults_of(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    entry.click()
    expect(page.locator("h1")).to_have_text("Deliveries")


def test_header_of_a_wide_screen_is_one_line(new_page: NewPage) -> None:
    page = new_page().go("/admin/issues")
    assert page.locator("header.top").bounding_box()["height"] == 48  # type: ignore[index]
    expect(page.locator(".menu-button")).not_to_be_visible()
    page.locator(".user-menu > summary").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert faults_of(page) == []
    page.locator("h1").click()
    expect(page.get_by_role("button", name="Log out")).not_to_be_visible()


@pytest.mark.parametrize("keys", ["/", "Control+k", "Meta+k"])
def test_keys_focus_the_search_box_and_suggestions_are_walked(
    server: Server, new_page: NewPage, keys: str
) -> None:
    page = new_page().go("/admin/status")
    page.keyboard.press(keys)
    box = page.get_by_label("Search", exact=True)
    expect(box).to_be_focused()
    page.keyboard.type("deliv")
    option = page.get_by_role("option", name="Deliveries")
    expect(option).to_be_visible()
    assert faults_of(page) == []
    page.keyboard.press("Escape")
    expect(option).not_to_be_visible()
    page.keyboard.type("e")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Deliveries")


def test_event_id_is_opened_from_the_search_box(server: Server, new_page: NewPage) -> None:
    event_id = server.insert({"message": "found by its id"})
    page = new_page(java_script_enabled=False).go("/admin/status")
    page.get_by_label("Search", exact=True).fill(event_id)
    page.get_by_label("Search", exact=True).press("Enter")
    expect(page.locator("h1")).to_contain_text("found by its id")
