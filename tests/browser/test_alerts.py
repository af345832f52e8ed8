"""Alerts as a person meets them: a channel made and tested, a rule made, a notification read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LOOKS, Watched
from tests.browser.test_rules import looks_right

NewPage = Callable[..., Watched]


@pytest.mark.parametrize("scripts", [True, False])
def test_channel_is_made_tested_and_deleted(new_page: NewPage, scripts: bool) -> None:
    page = new_page(java_script_enabled=scripts).page
    page.goto("/admin/alerts/channels")
    page.get_by_role("textbox", name="Name").fill(f"Night shift {scripts}")
    page.get_by_role("textbox", name="Address").fill("ops@example.org, dev@example.org")
    page.get_by_role("button", name="Add the channel").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status").first).to_contain_text("The test was not sent")
    expect(page.locator(".attempts tbody tr")).to_have_count(1)
    expect(page.locator(".attempts")).to_contain_text("no mail server is set: SMTP_HOST")
    page.get_by_role("link", name=f"Night shift {scripts}").click()
    page.get_by_text("Delete …").click()
    page.get_by_role("button", name="Delete the channel").click()
    expect(page.get_by_role("status").first).to_contain_text("The channel is deleted")


def test_forbidden_target_is_told_at_its_field(new_page: NewPage) -> None:
    watched = new_page()
    page = watched.page
    page.goto("/admin/alerts/channels")
    page.get_by_text("Slack", exact=True).click()
    page.get_by_role("textbox", name="Name").fill("Metadata")
    page.get_by_role("textbox", name="Address").fill("http://169.254.169.254/latest")
    page.get_by_role("button", name="Add the channel").click()
    expect(page.locator("#address-help")).to_contain_text("never sent to")
    expect(page.get_by_role("textbox", name="Address")).to_have_attribute("aria-invalid", "true")
    # The browser tells of the 422 itself.
    watched.complaints[:] = [c for c in watched.complaints if "422" not in c]


def test_preview_follows_the_template_while_it_is_typed(new_page: NewPage) -> None:
    page = new_page().page
    page.goto("/admin/alerts/channels")
    page.get_by_text("Discord", exact=True).click()
    expect(page.locator("#preview")).to_contain_text('"allowed_mentions"')
    page.get_by_text("A template of your own").click()
    page.get_by_role("textbox", name="Template").fill('{"only": "{{titel}}"}')
    expect(page.locator("#preview")).to_contain_text("{{titel}} is unknown; known are title")
    page.get_by_role("textbox", name="Template").fill('{"only": "{{events}}"}')
    expect(page.locator("#preview")).to_contain_text('"only": 45')


@pytest.mark.parametrize("scripts", [True, False])
def test_rule_is_made_switched_off_and_deleted(new_page: NewPage, scripts: bool) -> None:
    page = new_page(java_script_enabled=scripts).page
    page.goto("/admin/alerts/rules")
    page.get_by_label("Kind").select_option("Frequency")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("textbox", name="Name").fill(f"Often {scripts}")
    page.get_by_label("Threshold, events").fill("7")
    page.get_by_label("Environment").fill("production")
    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Often {scripts}")
    expect(page.locator("main")).to_contain_text("7 events of one issue, within 60 minutes")
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator("main [data-state=off]")).to_be_visible()
    page.get_by_text("Delete …").click()
    page.get_by_role("button", name="Delete the rule").click()
    expect(page.get_by_role("status").first).to_contain_text("The rule is deleted")


@LOOKS
def test_pages_of_alerts_are_accessible_and_nothing_scrolls_sideways(
    new_page: NewPage, tmp_path: Path, theme: str, width: int
) -> None:
    page = new_page(width=width, theme=theme).page
    page.goto("/admin/alerts/channels")
    page.get_by_role("textbox", name="Name").fill(
        "A channel with a name that is longer than most of them are"
    )
    page.get_by_role("textbox", name="Address").fill(
        ", ".join(f"a{n}@example.org" for n in range(9))
    )
    page.get_by_role("button", name="Add the channel").click()
    looks_right(page, tmp_path / "channel.png")
    page.get_by_role("button", name="Send a test").click()
    looks_right(page, tmp_path / "notice.png")
    for name in ("", "/channels", "/rules", "/rules/1", "/rules/2", "/rules/new?kind=frequency"):
        page.goto(f"/admin/alerts{name}")
        looks_right(page, tmp_path / f"{name.strip('/').partition('?')[0].replace('/', '-')}.png")
