"""The pages of deliveries in Chromium: readable, within the page, and of use without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHROMIUM, LOOKS, faults_of
from tests.conftest import ADMIN_PASSWORD
from tests.mini_sentry import MiniSentry
from tests.server_process import Server, serving, wait_for

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def sentry() -> Iterator[MiniSentry]:
    """One that has accepted an event, refused two for good, and is down since."""
    with MiniSentry() as server:
        yield server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, sentry: MiniSentry) -> Iterator[Server]:
    if not CHROMIUM.exists():
        pytest.skip(f"THE BROWSER TESTS DID NOT RUN: there is no {CHROMIUM}")
    folder = tmp_path_factory.mktemp("shop") / "data"
    with serving(folder, SENTRY_DSN=sentry.dsn, DELIVERY_BACKOFF_BASE_S="300") as server:
        server.test_error("went")
        wait_for(lambda: counts(server)["delivered"] >= 1)
        sentry.answer = lambda envelope: Response(f'{{"detail": "{"too long " * 30}"}}', 400)
        server.test_error("refused " + "w" * 300)
        server.test_error("refused " + "and a long text " * 20)
        wait_for(lambda: counts(server)["parked"] >= 2)
        sentry.answer = lambda envelope: Response("{}", 503)
        for number in range(3):
            server.test_error(f"waits {number}")
        wait_for(lambda: destination(server)["state"] == "open")
        yield server


def counts(server: Server) -> dict[str, int]:
    return dict(server.get("/api/deliveries/overview")["counts"])


def destination(server: Server) -> dict[str, Any]:
    return dict(server.get("/api/deliveries/overview")["destinations"][0])


def newest(server: Server, state: str) -> int:
    return int(server.get(f"/api/deliveries?state={state}")["deliveries"][0]["id"])


@pytest.fixture
def open_page(shop: Server, browser: Browser) -> Iterator[Open]:
    contexts = []

    def log_in(width: int = 1280, theme: str = "light", **options: Any) -> Page:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(base_url=shop.url, viewport=viewport, **options)
        context.add_cookies([{"name": "theme", "value": theme, "url": shop.url}])
        contexts.append(context)
        page = context.new_page()
        page.goto("/admin/login?next=/admin/deliveries")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(ADMIN_PASSWORD)
        page.get_by_role("button", name="Log in").click()
        return page

    yield log_in
    for context in contexts:
        context.close()


@LOOKS
def test_pages_are_accessible_and_nothing_scrolls_sideways(
    shop: Server, open_page: Open, theme: str, width: int
) -> None:
    page = open_page(width, theme)
    paths = [f"/admin/deliveries/{newest(shop, state)}" for state in ("parked", "delivered")]
    for path in ["/admin/", "/admin/deliveries", "/admin/deliveries?state=parked", *paths]:
        page.goto(path)
        page.locator("details").evaluate_all("all => all.forEach(part => (part.open = true))")
        assert faults_of(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_everything_is_done_without_scripts(
    shop: Server, sentry: MiniSentry, open_page: Open
) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator(".destination")).to_contain_text("circuit open")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".destination")).to_contain_text("Paused by a person")
    page.get_by_role("link", name=re.compile("parked")).first.click()
    page.locator("table.deliveries tbody tr").first.click(position={"x": 700, "y": 10})
    button = page.get_by_role("button", name="Discard it")
    expect(button).not_to_be_visible()
    page.get_by_text("Discard …").click()
    button.click()
    expect(page.locator("main")).to_contain_text("a person discarded it")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("main")).to_contain_text("does not have it yet: paused by a person")
    sentry.answer = None
    page.get_by_role("link", name="Deliveries", exact=True).click()
    page.get_by_role("button", name=re.compile(r"Replay all \d+ parked")).click()
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: counts(shop)["delivered"] >= 6)
    page.reload()
    expect(page.locator(".destination")).to_contain_text("sending")
