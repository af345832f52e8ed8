"""The start page in a browser: what it answers stands on the first screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.conftest import Server, Watched

WORDS = ("card", "stock", "mail", "search", "basket", "login", "invoice", "parcel")


def test_first_four_sections_are_on_the_first_screen(
    server: Server, new_page: Callable[..., Watched]
) -> None:
    for word in WORDS:
        payload: dict[str, Any] = {"message": f"The {word} service did not answer in time"}
        server.insert(payload | {"level": "error", "user": {"id": word}})
    page = new_page(1280).page
    page.goto("/admin/")
    rows = page.locator(".most tbody tr")
    assert rows.count() == len(WORDS)
    last = rows.last.bounding_box()
    assert last is not None and last["y"] + last["height"] <= 800
