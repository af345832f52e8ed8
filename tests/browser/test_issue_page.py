"""The page of an issue as a person meets it: the line that failed stands in the first view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LOOKS, Server, Watched, faults_of

NewPage = Callable[..., Watched]


def frame(number: int, module: str, *, in_app: bool) -> dict[str, Any]:
    return {
        "function": f"call_{number}",
        "filename": f"{module}/part_{number}.py",
        "lineno": 40 + number,
        "in_app": in_app,
        "pre_context": [f"    step_{n} = price * {n}  # the sum so far" for n in range(5)],
        "context_line": f"    return charge_{number}(order, amount)",
        "post_context": ["", "", "def other():", "    return None", ""],
        "vars": {"order": {"id": 7}, "amount": "Decimal('12.50')"},
    }


def chained(name: str) -> dict[str, Any]:
    """Return a payload as the SDK sends it: a library's exception, one of ours, one around both."""
    own = [frame(n, "shop", in_app=n % 3 == 0) for n in range(9)]
    libraries = [frame(n, "httpx", in_app=False) for n in range(5)]
    values = [
        {"type": "TimeoutError", "value": "timed out", "stacktrace": {"frames": libraries}},
        {
            "type": "PaymentError",
            "value": f"{name}: the provider did not answer within the time that this order"
            " allows, and no other provider takes this card",
            "stacktrace": {"frames": own},
        },
        {
            "type": "HandlerError",
            "value": "the handler of the request failed",
            "mechanism": {"type": "flask", "handled": False},
            "stacktrace": {"frames": libraries},
        },
    ]
    return {
        "exception": {"values": values},
        "transaction": "/checkout/pay",
        "environment": "production",
        "release": "shop@2.4.0",
        "platform": "python",
        "user": {"email": "ada@example.org"},
        "tags": {"shop": "books"},
        "request": {"method": "POST", "url": "https://shop.example/checkout/pay"},
        "contexts": {"browser": {"name": "Firefox", "version": "128.0"}},
    }


def open_issue(server: Server, watched: Watched, name: str) -> None:
    event_id = server.insert(chained(name))
    watched.go(f"/admin/events/{event_id}").get_by_role("link", name="‹ Issue").click()
    expect(watched.page.locator("#event-title")).to_have_text("Latest event")


@pytest.mark.parametrize(("width", "height", "lowest"), [(1280, 800, 620), (390, 844, 780)])
def test_line_that_failed_stands_in_the_first_view(
    server: Server, new_page: NewPage, width: int, height: int, lowest: int
) -> None:
    watched = new_page(viewport={"width": width, "height": height})
    server.insert(chained("first view"))
    open_issue(server, watched, "first view")
    line = watched.page.locator(".frame[open] .line[data-marked]")
    expect(line).to_have_count(1)
    expect(line).to_contain_text("return charge_6(order, amount)")
    box = line.bounding_box()
    assert box and box["y"] + box["height"] <= lowest


@LOOKS
def test_tabs_and_menus_are_accessible_and_fit(
    server: Server, new_page: NewPage, width: int, theme: str
) -> None:
    watched = new_page(width, theme)
    open_issue(server, watched, "tabs")
    page, path = watched.page, watched.page.url.partition("?")[0]
    page.get_by_label("More actions").click()
    page.get_by_text("Merge with another issue…").click()
    page.locator("main details").evaluate_all("all => all.forEach(part => (part.open = true))")
    for tab in ("", "?tab=events", "?tab=history", "?tab=groups"):
        if tab:
            page.goto(path + tab)
        assert faults_of(page) == [], tab
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, tab


def test_calls_and_causes_are_read_without_scripts(server: Server, new_page: NewPage) -> None:
    watched = new_page(java_script_enabled=False)
    open_issue(server, watched, "no scripts")
    page = watched.page
    page.get_by_role("link", name="TimeoutError").click()
    cause = page.locator("#exception-3")
    expect(cause.locator(".code").first).not_to_be_visible()
    cause.get_by_text("5 library calls").click()
    cause.locator(".frame > summary").first.click()
    expect(cause.locator(".frame .line[data-marked]").first).to_contain_text("charge_4")
    expect(cause.get_by_text("Decimal('12.50')").first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_issue_is_resolved_by_its_key_or_button_and_merged_by_number(
    server: Server, new_page: NewPage, scripts: bool
) -> None:
    watched = new_page(java_script_enabled=scripts)
    name = f"merged {'with' if scripts else 'without'} scripts"
    server.insert({"message": f"{name} into"})
    page = watched.go(f"/admin/issues?q={name}")
    page.locator("a.target").click()
    number = page.url.partition("?")[0].rpartition("/")[2]
    server.insert({"message": f"{name} from"})
    watched.go(f"/admin/issues?q={name} from").locator("a.target").click()
    expect(page.locator("h1")).to_have_text(f"{name} from")
    if scripts:
        page.keyboard.press("m")
    else:
        page.get_by_label("More actions").click()
        page.get_by_text("Merge with another issue…").click()
    page.get_by_label("Issue", exact=True).fill(number)
    page.get_by_role("form", name="Merge", exact=True).get_by_role("button").click()
    expect(page.get_by_role("status").first).to_have_text("2 issues are one now.")
    expect(page.locator(".issue-head .meta")).to_contain_text(f"#{number}")
    if scripts:
        page.locator("h1").click()
        page.keyboard.press("e")
    else:
        page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("The issue is resolved.")
