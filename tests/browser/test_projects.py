"""Projects in Chromium: from the form to the first event, under the content security policy."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, Server, Watched, faults_of

NewPage = Callable[..., Watched]
UPSTREAM = "https://5ec2e7ca11ab1e0f5ec2e7ca11ab1e0f@o4507.ingest.sentry.example/4507000000001"


def make(page: Page, name: str, **fields: str) -> str:
    """Make a project through the form and return its DSN as its set-up page shows it."""
    page.goto("/admin/projects")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name").fill(name)
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " ")).fill(value)
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/setup")
    return page.locator("#dsn").inner_text()


def report(dsn: str, message: str) -> None:
    url, project = re.sub(r"//\w+@", "//", dsn).rsplit("/", 1)
    key = re.search(r"//(\w+)@", dsn)
    assert key
    body = b'{}\n{"type":"event"}\n{"message":"' + message.encode() + b'"}\n'
    asked = f"{url}/api/{project}/envelope/?sentry_key={key[1]}"
    urllib.request.urlopen(asked, data=body, timeout=20).close()


def test_set_up_page_turns_green_by_itself(server: Server, new_page: NewPage) -> None:
    page = new_page().page
    dsn = make(page, "Shop", Events_a_minute="600")
    region = page.locator("#first-event")
    expect(region).to_contain_text("Waiting for the first event")
    report(dsn, "it works")
    expect(region).to_contain_text("The first event has arrived", timeout=10_000)
    page.get_by_role("link", name="it works").click()
    expect(page.locator("h1")).to_contain_text("it works")


def test_dsn_and_lines_are_copied(new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"]).page
    dsn = make(page, "Copied")
    for number, expected in ((0, dsn), (1, f'dsn="{dsn}"')):
        page.get_by_role("button", name="Copy").nth(number).click()
        expect(page.get_by_role("button", name="copied")).to_have_count(1)
        assert expected in page.evaluate("navigator.clipboard.readText()")
        expect(page.get_by_role("button", name="copied")).to_have_count(0, timeout=5000)


def test_everything_works_without_scripts(server: Server, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False).page
    dsn = make(page, "Plain")
    report(dsn, "without scripts")
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("#first-event")).to_contain_text("The first event has arrived")
    page.get_by_role("link", name="Keys and limits").click()
    page.get_by_label("DSN of a Sentry project").fill(UPSTREAM)
    page.get_by_role("button", name="Save this DSN").click()
    expect(page.locator("main")).to_contain_text("https://o4507.ingest.sentry.example")
    page.get_by_role("button", name="Make another key").click()
    page.get_by_role("link", name="Revoke").first.click()
    page.get_by_role("button", name="Revoke the key").click()
    expect(page.locator(".dsns tbody tr")).to_have_count(1)
    expect(page.locator(".dsns")).not_to_contain_text(dsn)


@LOOKS
def test_pages_are_accessible_and_nothing_scrolls_sideways(
    new_page: NewPage, theme: str, width: int
) -> None:
    watched = new_page(width=width, theme=theme)
    page = watched.page
    dsn = make(page, "A name without end " * 8, DSN_of_a_Sentry_project=UPSTREAM)
    setup = page.url
    one = setup.removesuffix("/setup")
    report(dsn, "seen")
    key = re.search(r"//(\w+)@", dsn)
    assert key
    paths = ["/admin/projects", "/admin/projects/new", "/admin/projects/1", one, setup]
    for path in [*paths, f"{one}/upstream/remove", f"{one}/keys/{key[1]}/revoke"]:
        watched.go(path)
        if folder := os.environ.get("PICTURES_OF_PROJECTS"):
            name = path.rsplit("/admin/", 1)[1].replace("/", "-")
            page.screenshot(path=f"{folder}/{width}-{theme}-{name}.png", full_page=True)
        assert faults_of(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
