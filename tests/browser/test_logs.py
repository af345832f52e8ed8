"""The list of logs as a person meets it: found, opened, narrowed, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.projects import OWN_PROJECT_ID
from app.signals.logs.counting import count_lines
from app.signals.logs.line import Line
from app.signals.logs.signal import write_lines
from app.store import Store, utc_now
from tests.browser.conftest import LOOKS, Server, Watched
from tests.browser.test_rules import looks_right

NewPage = Callable[..., Watched]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def lines(server: Server) -> None:
    store = Store(f"sqlite:///{server.data_dir / 'devenviro.sqlite3'}")
    now = utc_now()
    levels = ("debug", "info", "warning", "error", "fatal")
    given = [
        Line(
            OWN_PROJECT_ID,
            now,
            level,
            f"order {number} {'w' * 300 if number == 2 else 'paid'}",
            {"plan": "gold", "path": "/a/very/long/path" * 20, "order.id": number},
            release="shop@1.2.3",
            environment="production",
            trace_id=TRACE,
            cut="3 values cut" if number == 3 else None,
        )
        for number, level in enumerate(levels)
    ]
    with store.write() as conn:
        write_lines(conn, given)
        count_lines(conn, given, now)
    store.dispose()


@pytest.mark.parametrize("scripts", [True, False])
def test_line_opens_to_its_attributes_which_narrow_the_list(
    new_page: NewPage, lines: None, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts).go("/admin/events")
    page.get_by_role("navigation", name="Events").get_by_role("link", name="Logs").click()
    shown = page.locator(".log-lines > li")
    expect(shown).to_have_count(5)
    page.get_by_label("Query").fill('"order 1"')
    page.get_by_label("Query").press("Enter")
    expect(shown).to_have_count(1)
    shown.locator("summary").click()
    expect(shown.get_by_role("table", name="Attributes")).to_contain_text("gold")
    shown.get_by_role("link", name="gold").click()
    expect(page.get_by_label("Query")).to_have_value('"order 1" plan:gold')
    expect(shown).to_have_count(1)


def test_live_list_shows_a_line_that_arrives(
    new_page: NewPage, lines: None, server: Server
) -> None:
    page = new_page().go("/admin/logs?query=arrives")
    expect(page.get_by_text("No line of this time matches")).to_be_visible()
    page.get_by_role("link", name="Live", exact=True).click()
    expect(page.get_by_text("No line matches yet.")).to_be_visible()
    store = Store(f"sqlite:///{server.data_dir / 'devenviro.sqlite3'}")
    with store.write() as conn:
        write_lines(conn, [Line(OWN_PROJECT_ID, utc_now(), "info", "it arrives")])
    store.dispose()
    expect(page.locator(".log-lines > li")).to_have_count(1, timeout=30_000)
    page.get_by_role("link", name="Stop").click()
    expect(page.get_by_role("link", name="Live", exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def counts(server: Server) -> None:
    """Count lines of a day: debug and info always, warnings often, and errors in one hour."""
    store, now = Store(f"sqlite:///{server.data_dir / 'devenviro.sqlite3'}"), utc_now()
    numbers = {"debug": 9, "info": 17, "warning": 4}
    with store.write() as conn:
        for half in range(48):
            at = now - timedelta(minutes=30 * half)
            levels = numbers | ({"error": 12, "fatal": 1} if half in (8, 9) else {})
            lines = [
                Line(OWN_PROJECT_ID, at, level, "counted")
                for level, number in levels.items()
                for _ in range(number * (2 + half % 7) // 3)
            ]
            count_lines(conn, lines, now)
    store.dispose()


@pytest.mark.parametrize("scripts", [True, False])
def test_bar_of_the_chart_leads_to_the_lines_of_its_time(
    new_page: NewPage, lines: None, counts: None, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts).go("/admin/logs?period=day&query=level:error")
    chart = page.get_by_role("group", name="lines (", exact=False)
    expect(chart).to_be_visible()
    expect(page.locator(".chart.logs figcaption")).to_contain_text("error")
    expect(page.locator(".chart.logs figcaption")).not_to_contain_text("info")
    chart.get_by_role("link").last.click()
    expect(page).to_have_url(re.compile(r"query=level%3Aerror&start=.*&end="))
    expect(page.locator(".log-lines > li")).to_have_count(1)


@LOOKS
def test_list_of_logs_looks_right(
    new_page: NewPage, lines: None, counts: None, width: int, theme: str, tmp_path: Path
) -> None:
    page = new_page(width, theme).go("/admin/logs?period=day")
    for number in 0, 2:
        page.locator(".log-lines summary").nth(number).click()
    looks_right(page, tmp_path / "logs.png")


def test_times_of_lines_are_in_the_time_zone_of_the_browser(new_page: NewPage, lines: None) -> None:
    shown = {}
    for zone in "UTC", "Asia/Kathmandu":
        page = new_page(timezone_id=zone, locale="en-GB").go("/admin/logs?query=order")
        time = page.locator(".log-time").first
        expect(time).not_to_have_attribute("data-local", re.compile(".*"))
        shown[zone] = time.inner_text()
    hours, minutes = (int(part) for part in shown["UTC"].split()[-1].split(":")[:2])
    later = (60 * hours + minutes + 345) % (24 * 60)
    assert f"{later // 60:02}:{later % 60:02}:" in shown["Asia/Kathmandu"]
