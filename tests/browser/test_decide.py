"""The menu *Ignore* and *Assign* as a person meets them, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, Server, Watched, faults_of

NewPage = Callable[..., Watched]


def open_issue(server: Server, page: Page, title: str) -> None:
    server.insert({"message": title})
    page.goto(f"/admin/issues?q={title}&status=all")
    page.get_by_role("link", name=title).click()
    page.wait_for_url(re.compile(r"/admin/issues/\d+"))  # A key pressed before would be lost.


@LOOKS
def test_open_menu_is_accessible_and_fits(
    server: Server, new_page: NewPage, width: int, theme: str
) -> None:
    page = new_page(width, theme).page
    open_issue(server, page, "menu")
    for path in (page.url, "/admin/issues"):
        page.goto(path)
        page.get_by_text("Ignore ▾").click()
        page.get_by_text("Until more users…").click()
        assert faults_of(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


@pytest.mark.parametrize("scripts", [True, False])
def test_issue_is_ignored_until_more_users_and_assigned(
    server: Server, new_page: NewPage, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts).page
    open_issue(server, page, f"decide {'with' if scripts else 'without'} scripts")
    page.get_by_text("Ignore ▾").click()
    page.get_by_text("Until more users…").click()
    number = page.get_by_role("spinbutton", name="Users")
    number.fill("7")
    number.press("Enter")  # chooses nothing by itself, least of all "Resolve"
    expect(page.locator("main .state").first).to_have_text("unresolved")
    page.get_by_role("button", name="Ignore", exact=True).click()
    expect(page.locator("main .state").first).to_have_text("ignored until 7 more users")
    page.get_by_text("Assign ▾").click()
    page.get_by_role("button", name="Me admin").click()
    expect(page.locator(".decide .assignee")).to_have_text("assigned to admin")


def test_keys_open_the_menu_and_lead_to_the_users(server: Server, new_page: NewPage) -> None:
    page = new_page().page
    open_issue(server, page, "keys")
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Me admin")).to_be_visible()
    page.locator("h1").click()
    page.keyboard.press("i")
    expect(page.get_by_text("Until it gets worse")).to_be_visible()


def test_keys_decide_from_the_list_and_go_to_the_next_row(
    server: Server, new_page: NewPage
) -> None:
    for name in ("list a", "list b", "list c"):
        server.insert({"message": name})
    page = new_page().page
    page.goto("/admin/issues?query=list")
    rows = page.locator(".issues .target")
    expect(rows).to_have_text(["list c", "list b", "list a"])
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(rows).to_have_text(["list c", "list a"])
    expect(page.get_by_role("link", name="list a")).to_be_focused()
    expect(page.get_by_text("Resolved 1 issue.")).to_be_visible()
    page.keyboard.press("i")
    page.keyboard.press("Enter")  # the first choice of the menu
    expect(page.get_by_text("Ignored 1 issue until it gets worse.")).to_be_visible()
    expect(page.get_by_role("link", name="list c")).to_be_focused()
    page.keyboard.press("z")
    expect(rows).to_have_text(["list c", "list a"])
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(".issues .assignee").first).to_have_text("assigned to admin")
