"""From the error page to the issue, as two people meet it: one says what happened, one reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import CHROMIUM, LOOKS, log_in
from tests.browser.test_rules import looks_right
from tests.conftest import ADMIN_PASSWORD
from tests.failing_page import PATH
from tests.server_process import Server

LONG = "I pressed Pay, it span for a minute, then this page came. " * 15


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with a page that fails."""
    if not CHROMIUM.exists():
        pytest.skip(f"THE BROWSER TESTS DID NOT RUN: there is no {CHROMIUM}")
    data_dir = tmp_path_factory.mktemp("broken") / "data"
    settings = {"WEB_CONCURRENCY": "1", "ADMIN_PASSWORD": ADMIN_PASSWORD, "SENTRY_DSN": ""}
    server = Server(data_dir, app="tests.failing_page:served()", **settings)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def admin_state(broken: Server, browser: Browser) -> Any:
    """The cookies of who reads what was said."""
    return log_in(browser, broken.url)


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_told_on_the_error_page_is_read_on_the_issue_page(
    broken: Server, browser: Browser, admin_state: Any, scripts: bool
) -> None:
    words = f"I paid twice, {'with' if scripts else 'without'} scripts"
    stranger = browser.new_context(base_url=broken.url, java_script_enabled=scripts)
    page = stranger.new_page()
    page.goto(PATH)
    page.get_by_label("What happened?").fill(words)
    page.get_by_label("E-mail, for an answer").fill("ada")
    page.get_by_role("button", name="Send what happened").click()
    expect(page.get_by_label("E-mail, for an answer")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("What happened?")).to_have_value(words)
    page.get_by_label("E-mail, for an answer").fill("ada@example.org")
    page.get_by_role("button", name="Send what happened").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.locator("main")).to_contain_text("They can answer you at ada@example.org")
    page.reload()
    expect(page.locator("h1")).to_have_text("We have your words already")
    stranger.close()

    reader = browser.new_context(base_url=broken.url, storage_state=admin_state)
    page = reader.new_page()
    page.goto("/admin/issues")
    page.get_by_role("link", name="Feedback").click()
    row = page.locator(".feedback-list tr", has_text=words)
    expect(row).to_contain_text("ada@example.org")
    row.get_by_role("link", name="ValueError: the shop is on fire").click()
    beside = page.get_by_role("region", name="What people said")
    expect(beside).to_contain_text(words)
    page.get_by_role("link", name="Full event").click()
    expect(beside).to_contain_text(words)
    reader.close()


@LOOKS
def test_pages_of_feedback_are_accessible_and_nothing_scrolls_sideways(
    broken: Server, browser: Browser, admin_state: Any, tmp_path: Path, theme: str, width: int
) -> None:
    context = browser.new_context(
        base_url=broken.url, storage_state=admin_state, viewport={"width": width, "height": 900}
    )
    context.add_cookies([{"name": "theme", "value": theme, "url": broken.url}])
    page = context.new_page()
    page.goto("/admin/feedback?q=nobody+said+this")
    looks_right(page, tmp_path / "nothing.png")
    page.goto(PATH)
    looks_right(page, tmp_path / "error.png")
    page.get_by_label("What happened?").fill(LONG)
    page.get_by_label("Your name, if you like").fill("Ada Lovelace")
    page.get_by_label("E-mail, for an answer").fill("no address")
    page.get_by_role("button", name="Send what happened").click()
    looks_right(page, tmp_path / "wrong.png")
    page.get_by_label("E-mail, for an answer").fill("ada@" + "long." * 20 + "example.org")
    page.get_by_role("button", name="Send what happened").click()
    looks_right(page, tmp_path / "thanks.png")
    page.goto("/admin/feedback")
    looks_right(page, tmp_path / "list.png")
    page.get_by_role("link", name="the shop is on fire").first.click()
    looks_right(page, tmp_path / "issue.png")
    context.close()
