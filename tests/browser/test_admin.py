"""The admin pages as a person meets them, in Chromium under the real content security policy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.trials import kinds
from config import ROOT
from tests.admin.hostile import script_event
from tests.browser.conftest import LOOKS, Server, Watched, faults_of

PICTURES = ROOT / "docs" / "screenshots"
NewPage = Callable[..., Watched]
LISTS = [
    "/admin/",
    "/admin/events",
    "/admin/issues",
    "/admin/performance",
    "/admin/ai-calls",
    "/admin/losses",
    "/admin/costs",
    "/admin/metrics",
    "/admin/releases",
    "/admin/test-error",
    "/admin/test-error/all",
    "/admin/status",
    "/docs",
]


def send(page: Page, kind: str, message: str) -> str:
    """Send a test error through the form and return its event id."""
    page.goto("/admin/test-error")
    page.locator(f"input[value={kind}]").check()
    page.get_by_label("Message", exact=True).fill(message)
    page.get_by_label("Tags").fill("shop=books\ncustomer=gold")
    page.get_by_role("button", name="Send this error").click()
    page.wait_for_url("**/admin/test-error?event=*")
    return page.url.rpartition("=")[2]


@pytest.fixture(scope="package")
def filled(server: Server) -> str:
    """An event with something in every field, some of it long; returns its id."""
    lines = [f"    total_{number} = price * {number}  # the sum so far" for number in range(5)]
    frame = {
        "function": "charge",
        "filename": "shop/payment.py",
        "lineno": 42,
        "pre_context": ['    """Charge an order."""', *lines],
        "context_line": '    raise PaymentError(f"declined: {order.id}" + "x" * 200)'
        + " " * 150
        + "#",
        "post_context": ["", "", "class Order:", "    number: int = 7"],
        "vars": {"order": {"id": 7, "lines": ["a" * 400]}, "path": "/a/very/long/path" * 20},
    }
    frames = [{**frame, "in_app": False, "function": f"call_{number}"} for number in range(4)]
    values = [
        {"type": "KeyError", "value": "'price'", "stacktrace": {"frames": [frame]}},
        {
            "type": "shop.errors.PaymentError" + "Long" * 20,
            "value": "declined " + "w" * 300,
            "mechanism": {"type": "flask", "handled": False},
            "stacktrace": {"frames": [*frames, {**frame, "in_app": True}]},
        },
    ]
    return server.insert(
        {
            "level": "fatal",
            "platform": "python",
            "environment": "production",
            "release": "0123456789abcdef0123456789abcdef01234567",
            "transaction": "/orders/<id>/" + "t" * 120,
            "exception": {"values": values},
            "breadcrumbs": [
                {"timestamp": 1700000000, "category": "http", "level": level, "message": "m" * 300}
                for level in ("debug", "info", "warning", "error", "fatal")
            ],
            "request": {
                "method": "POST",
                "url": "https://shop.example/" + "p" * 200,
                "headers": {"A": "b"},
            },
            "user": {"id": "u-17", "password": "hunter2-is-no-password"},
            "tags": {"shop": "books", "long": "v" * 150},
            "contexts": {"runtime": {"name": "CPython", "version": "3.11"}},
            "extra": {"blob": "b" * 5000},
            "modules": {"flask": "3.1"},
            "sdk": {"name": "sentry.python", "version": "2.75.0"},
        }
    )  # fmt: skip


def issue_of(watched: Watched, event_id: str) -> str:
    """Return the path of the issue that an event belongs to."""
    link = watched.go(f"/admin/events/{event_id}").get_by_role("link", name="‹ Issue")
    return str(link.get_attribute("href"))


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_error_of_each_kind_is_found_in_the_list_and_its_frame_is_read(
    new_page: NewPage, kind: str
) -> None:
    page = new_page().page
    message = f"browser asked for {kind}"
    event_id = send(page, kind, message)
    expect(page.locator("#test-answer")).to_contain_text("Recorded in")
    page.goto("/admin/events")
    row = page.locator("table.events tr", has=page.locator(f'a[href$="{event_id}"]'))
    # Anywhere in the row, not only on the words of the link.
    row.click(position={"x": 900, "y": 20})
    page.wait_for_url(f"**/admin/events/{event_id}")
    expect(page.locator("h1")).to_contain_text(message if kind != "logged" else "TrialError")
    if kind != "message":
        frame = page.locator(".frame[open]").first
        expect(frame.locator(".line[data-marked]")).to_contain_text("raise")
        assert frame.locator(".code span[class=k]").count() > 0


def test_trail_of_an_open_event_is_followed_until_it_is_stored(
    server: Server, new_page: NewPage
) -> None:
    page = new_page().page
    page.goto(f"/admin/test-error?event={'e' * 32}")
    trail = page.locator("#test-answer")
    expect(trail).to_contain_text("Not in the store yet")
    server.insert({"message": "came later"}, event_id="e" * 32)
    expect(trail).to_contain_text("Recorded in", timeout=8000)
    expect(trail.locator("[data-hop=done]")).to_have_count(3)


def test_news_tell_of_events_without_moving_the_rows(server: Server, new_page: NewPage) -> None:
    page = new_page().page
    server.insert({"message": "was here"})
    page.clock.install()
    page.goto("/admin/events")
    before = page.locator("a.target").first.inner_text()
    server.insert({"message": "is new"})
    page.clock.run_for(16_000)
    expect(page.locator("#news")).to_contain_text("1 new event – reload")
    assert page.locator("a.target").first.inner_text() == before
    page.locator("#news a").click()
    expect(page.locator("a.target").first).to_have_text("is new")


@LOOKS
def test_pages_are_accessible_and_nothing_scrolls_sideways(
    new_page: NewPage, filled: str, theme: str, width: int
) -> None:
    watched = new_page(width=width, theme=theme)
    issue = issue_of(watched, filled)
    for path in [*LISTS, f"/admin/events/{filled}", issue]:
        page = watched.go(path)
        assert faults_of(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_login_and_error_pages_are_accessible(new_page: NewPage) -> None:
    watched = new_page()
    page = watched.go("/admin/nowhere")
    assert faults_of(page) == []
    page.context.clear_cookies()
    watched.go("/admin/login")
    assert faults_of(page) == []
    # The browser tells of the 404 itself.
    watched.complaints[:] = [c for c in watched.complaints if "404" not in c]


def test_everything_works_without_scripts(server: Server, new_page: NewPage, filled: str) -> None:
    page = new_page(java_script_enabled=False).page
    send(page, "exception", "without scripts")
    expect(page.locator("#test-answer")).to_contain_text("Recorded in")
    page.get_by_role("link", name="Refresh").click()
    page.get_by_role("link", name="Open event").click()
    expect(page.locator("h1")).to_contain_text("without scripts")
    page.goto(f"/admin/events/{filled}")
    library = page.locator(".others .frame").first
    expect(library).not_to_be_visible()
    page.locator(".others > summary").first.click()
    expect(library).to_be_visible()
    server.make_searchable()
    page.get_by_label("Search", exact=True).fill("without scripts")
    page.get_by_label("Search", exact=True).press("Enter")
    expect(page.locator("a.target").first).to_contain_text("without scripts")
    assert "without+scripts" in page.url or "without%20scripts" in page.url
    page.locator(".user-menu > summary").click()
    page.get_by_role("button", name="dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert "without+scripts" in page.url or "without%20scripts" in page.url


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("width", [1280, 390])
def test_issues_are_chosen_and_changed_and_the_row_still_opens(
    server: Server, new_page: NewPage, scripts: bool, width: int
) -> None:
    # Words, since numbers do not tell messages apart.
    about = f"to be chosen {scripts} {'wide' if width > 1000 else 'narrow'}"
    names = [f"{about} {letter}" for letter in "abc"]
    for name in names:
        server.insert({"message": name, "level": "info"})
    page = new_page(width=width, java_script_enabled=scripts).page
    page.goto(f"/admin/issues?q={about}")
    row = page.locator("table.issues tbody tr", has_text=names[1])
    row.get_by_role("checkbox").check()  # although the whole row is a link
    page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("Resolved 1 issue.")
    expect(page.locator("a.target")).to_have_text([names[2], names[0]])
    every = page.get_by_label("Choose every issue of this page")
    if scripts and width > 1000:
        every.check()
        expect(page.locator("input[name=ids]:checked")).to_have_count(2)
    else:
        for box in page.locator("input[name=ids]").all():
            box.check()
    page.get_by_role("button", name="Delete …").click()
    expect(page.locator("h1")).to_have_text("Delete 2 issues and 2 events?")
    assert faults_of(page) == [] if scripts else True
    page.get_by_role("link", name="Keep them").click()
    expect(page.locator("a.target")).to_have_count(2)
    page.locator("table.issues tbody tr").first.click(position={"x": 300, "y": 15})
    expect(page.locator("h1")).to_have_text(names[2])


def test_issue_is_commented_resolved_and_deleted_without_scripts(
    server: Server, new_page: NewPage
) -> None:
    server.insert({"message": "a passing trouble", "tags": {"shop": "books"}})
    page = new_page(java_script_enabled=False).page
    page.goto("/admin/issues?q=a passing trouble")
    page.locator("a.target").click()
    page.get_by_label("Comment").fill("known since Monday")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator("#comments")).to_contain_text("known since Monday")
    page.get_by_role("button", name="Resolve", exact=True).click()
    page.get_by_role("link", name="History").click()
    expect(page.locator(".history li").first).to_contain_text("Resolved by admin")
    expect(page.locator(".history")).to_contain_text("known since Monday")
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Delete 1 issue").click()
    expect(page.get_by_role("status").first).to_have_text("1 issue deleted.")


def test_automatic_theme_follows_the_system(new_page: NewPage) -> None:
    page = new_page(theme="auto", color_scheme="dark").go("/admin/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


def test_keys_walk_fold_search_and_help(new_page: NewPage, filled: str) -> None:
    page = new_page().go("/admin/events")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement === document.querySelector('a.target')")
    page.goto(f"/admin/events/{filled}")
    page.keyboard.press("f")
    assert page.locator(".frame:not([open])").count() == 0
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).not_to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("jkf?")
    expect(page.get_by_label("Search", exact=True)).to_have_value("jkf?")
    expect(page.locator("#help")).not_to_be_visible()


def test_single_keys_can_be_switched_off(new_page: NewPage) -> None:
    page = new_page().go("/admin/events")
    page.keyboard.press("?")
    page.get_by_label("Single keys work in this browser").uncheck()
    page.reload()
    page.keyboard.press("?")
    expect(page.locator("#help")).not_to_be_visible()


def test_markdown_and_curl_are_copied(new_page: NewPage, filled: str) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"]).page
    page.goto(f"/admin/events/{filled}")
    page.get_by_role("button", name="copy as Markdown").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("# shop.errors.PaymentError")


def test_script_in_every_field_runs_nowhere(server: Server, new_page: NewPage) -> None:
    event_id = server.insert(script_event())
    watched = new_page()
    page = watched.go("/admin/issues")
    issue = page.locator("a.target").first.get_attribute("href")
    for path in [
        *LISTS,
        str(issue),
        f"/admin/events/{event_id}",
        f"/admin/test-error?event={event_id}",
        "/admin/events?q=%3Cscript%3Ewindow.ran%3D1%3C/script%3E&environment=%22%3E%3Cimg src=x>",
    ]:
        watched.go(path)
        page.locator("details").evaluate_all("all => all.forEach(part => (part.open = true))")
        assert page.evaluate("window.ran") is None, path
    for suffix in ("/raw", ".md"):
        answer = page.request.get(f"/admin/events/{event_id}{suffix}")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]


@pytest.mark.parametrize("name", ["start", "event"])
def test_picture_of_the_readme_can_be_made(new_page: NewPage, tmp_path: Path, name: str) -> None:
    # The pictures that are kept change only on demand: UPDATE_SCREENSHOTS=1 make test.
    page = new_page().page
    event_id = send(page, "chained", "card declined")
    page.goto("/admin/" if name == "start" else f"/admin/events/{event_id}")
    folder = PICTURES if os.environ.get("UPDATE_SCREENSHOTS") == "1" else tmp_path
    page.screenshot(path=folder / f"{name}.png")
    assert (folder / f"{name}.png").stat().st_size > 10_000
    assert (PICTURES / f"{name}.png").exists()
