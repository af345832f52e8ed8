"""Rules and attachments as a person meets them: written, tried, kept; saved and never shown."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, Server, Watched, faults_of
from tests.issues.payloads import calls

NewPage = Callable[..., Watched]


@pytest.fixture(scope="package")
def slow(server: Server) -> str:
    """Events to try a rule on, and one with an attachment; returns the id of that one."""
    for name in ("charge", "refund", "ship"):
        server.insert(calls(name, type="TimeoutError", value=f"{name} took too long " * 9))
    page = b"<script>window.ran=1</script>"
    return server.insert(calls("bill", type="BillError"), attachments={"page.html": page})


@pytest.fixture(scope="package")
def lossy(server: Server) -> None:
    """Clients that lost something."""
    lost = [
        ("sentry.python", "2.75.0", "queue_overflow", "error", 17),
        ("sentry.javascript.react-native", "7.2.0", "network_error", "session", 1204),
        ("sentry.python", "2.75.0", "sample_rate", "transaction", 90_000),
    ]
    minute = int(time.time()) // 60
    with sqlite3.connect(server.data_dir / "devenviro.sqlite3") as database:
        for *names, quantity in lost:
            series = database.execute(
                "INSERT INTO loss_series (project_id, day, sdk, version, reason, category, source)"
                " VALUES (1, date(), ?, ?, ?, ?, 'client')",
                names,
            )
            database.execute(
                "INSERT INTO loss_counts VALUES (?, ?, ?)", (series.lastrowid, minute, quantity)
            )


def fill(page: Page, text: str, name: str) -> None:
    page.goto("/admin/rules")
    page.get_by_label("Rule", exact=True).fill(text)
    page.get_by_label("Name").fill(name)


def looks_right(page: Page, picture: Path) -> None:
    page.screenshot(path=picture, full_page=True)
    assert faults_of(page) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


@pytest.mark.parametrize("scripts", [True, False])
def test_rule_is_tried_kept_switched_off_and_deleted(
    new_page: NewPage, slow: str, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts).page
    # The server is shared: other files leave timeouts of their own there.
    fill(page, 'type:TimeoutError message:"*took too long*" -> too-slow', f"slow {scripts}")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#trial")).to_contain_text("3 events match")
    expect(page.locator("#trial")).to_contain_text("a new issue")
    # What was tried is still there to be kept.
    page.get_by_role("button", name="Add the rule").click()
    row = page.locator(".rule-list tbody tr", has_text=f"slow {scripts}")
    expect(row).to_contain_text("added just now by admin")
    row.get_by_role("button", name="off").click()
    expect(row.locator("[data-state=off]")).to_be_visible()
    row.get_by_role("link", name=f"slow {scripts}").click()
    page.get_by_role("button", name="Delete this rule").click()
    expect(page.get_by_role("status").first).to_contain_text("The rule is deleted")


@LOOKS
def test_rules_and_losses_are_accessible_and_nothing_scrolls_sideways(
    new_page: NewPage, slow: str, lossy: None, tmp_path: Path, theme: str, width: int
) -> None:
    page = new_page(width=width, theme=theme).page
    for text in ("level:debug logger:health*", "type:Timeout* -> slow"):
        fill(page, text, f"a rule of {theme} at {width}" if "level" in text else "")
        page.locator(f"input[value={'ignore' if '->' not in text else 'fingerprint'}]").check()
        page.get_by_role("button", name="Add the rule").click()
    looks_right(page, tmp_path / "list.png")
    fill(page, "type:TimeoutError -> timeout, {{ transaction }}", "timeouts")
    page.get_by_role("button", name="Try it").click()
    looks_right(page, tmp_path / "trial.png")
    page.locator(".rule-list a").first.click()
    looks_right(page, tmp_path / "rule.png")
    page.goto("/admin/status")
    expect(page.get_by_role("region", name="What clients lost")).to_contain_text(
        "sentry.python 2.75.0 lost 17 events by queue_overflow"
    )
    looks_right(page, tmp_path / "status.png")
    page.goto("/admin/losses?project=1")
    expect(page.get_by_role("region", name="Lost by clients")).to_contain_text("queue_overflow")
    looks_right(page, tmp_path / "losses.png")
    page.goto(f"/admin/events/{slow}")
    looks_right(page, tmp_path / "event.png")


def test_fault_of_a_rule_stands_at_its_field(new_page: NewPage) -> None:
    watched = new_page()
    fill(watched.page, "type: TimeoutError", "")
    watched.page.get_by_role("button", name="Try it").click()
    field = watched.page.get_by_label("Rule", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("type: TimeoutError")
    expect(watched.page.locator("#text-help")).to_contain_text("At character 6")
    # The browser tells of the 422 itself.
    watched.complaints[:] = [c for c in watched.complaints if "422" not in c]


def test_attachment_is_saved_and_never_opened(new_page: NewPage, slow: str, tmp_path: Path) -> None:
    page = new_page().page
    page.goto(f"/admin/events/{slow}")
    with page.expect_download() as saved:
        page.get_by_role("link", name="page.html").click()
    assert saved.value.suggested_filename == "page.html"
    saved.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"<script>window.ran=1</script>"
    assert page.evaluate("window.ran") is None
