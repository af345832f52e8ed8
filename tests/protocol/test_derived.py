"""What an event says beside its client's words: browser, system, device, tags, places."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.events.places import place_of
from app.protocol.event import Event, read_event

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def read(**payload: Any) -> Event:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    return read_event(payload, event_id="a" * 32, received_at=now)


def visit(user_agent: str, **payload: Any) -> Event:
    request = {"url": "https://shop.example/cart?step=2#x", "headers": {"user-agent": user_agent}}
    return read(**{"platform": "javascript", "request": request, **payload})


def test_user_agent_of_a_browser_becomes_contexts_and_tags() -> None:
    event = visit(IPHONE)
    assert event.contexts["browser"] == {"name": "Mobile Safari", "version": "19.1"}
    assert event.contexts["os"] == {"name": "iOS", "version": "19.1"}
    assert event.contexts["device"] == {"family": "iPhone", "model": "iPhone", "brand": "Apple"}
    assert event.tags == {
        "url": "https://shop.example/cart",
        "browser": "Mobile Safari 19.1",
        "browser.name": "Mobile Safari",
        "os": "iOS 19.1",
        "os.name": "iOS",
        "device": "iPhone",
        "device.family": "iPhone",
    }


def test_what_the_client_says_itself_stays() -> None:
    own = {"browser": {"name": "Shop app", "version": "3"}}
    event = visit(IPHONE, contexts=own, tags={"os": "mine", "url": "cart"})
    assert event.contexts["browser"] == own["browser"]
    assert event.tags["browser"] == "Shop app 3"
    assert (event.tags["os"], event.tags["url"]) == ("mine", "cart")
    assert event.tags["os.name"] == "iOS"


def test_system_of_a_visitor_is_not_that_of_the_server() -> None:
    server = {"os": {"name": "Debian", "version": "13"}}
    event = visit(FIREFOX, platform="python", contexts=server)
    assert event.tags["os"] == "Debian 13"
    assert event.tags["client_os.name"] == "Linux"
    assert event.tags["browser"] == "Firefox 140.0"


@pytest.mark.parametrize("text", ["", "  ", "[Filtered]", "x" * 100_000, "curl/8.5.0\x00"])
def test_user_agent_that_says_nothing_adds_no_browser(text: str) -> None:
    assert not {"os", "device"} & set(visit(text).contexts)


def test_pairs_of_headers_are_read_too() -> None:
    event = read(platform="javascript", request={"headers": [["User-Agent", IPHONE]]})
    assert event.tags["browser"] == "Mobile Safari 19.1"


def test_mechanism_and_runtime_become_tags() -> None:
    inner = {"type": "A", "mechanism": {"type": "chained", "handled": True}}
    outer = {"type": "B", "mechanism": {"type": "onerror", "handled": False}}
    contexts = {"runtime": {"name": "CPython", "version": "3.11.7"}, "os": "no object"}
    event = read(exception={"values": [inner, outer]}, contexts=contexts, logger="shop")
    assert event.tags == {
        "logger": "shop",
        "mechanism": "onerror",
        "handled": "no",
        "runtime": "CPython 3.11.7",
        "runtime.name": "CPython",
    }


def test_line_ends_of_source_lines_go() -> None:
    frame = {
        "filename": "shop/price.rb",
        "lineno": 12,
        "pre_context": ["  def per_unit(order)\n", "\r\n"],
        "context_line": "    order.total / order.count\r\n",
        "post_context": ["  end\n", ""],
    }
    exception = {"values": [{"type": "E", "stacktrace": {"frames": [frame]}}]}
    [read_frame] = read(exception=exception).exceptions[0].frames
    assert read_frame.pre_context == ["  def per_unit(order)", ""]
    assert read_frame.context_line == "    order.total / order.count"
    assert read_frame.post_context == ["  end", ""]


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        ({"abs_path": "/srv/cart/checkout.go", "module": "cart", "lineno": 42}, "checkout.go:42"),
        ({"filename": "main-8f3a.js", "lineno": 1, "colno": 88121}, "main-8f3a.js:1:88121"),
        ({"filename": "shop.py", "lineno": 7}, "shop.py:7"),
        ({"filename": "shop.py", "lineno": 7, "colno": 0}, "shop.py:7"),
        ({"module": "shop.cart"}, "shop.cart"),
    ],
)
def test_place_of_a_call_names_its_file(frame: dict[str, Any], place: str) -> None:
    exception = {"values": [{"type": "E", "stacktrace": {"frames": [frame]}}]}
    [read_frame] = read(exception=exception).exceptions[0].frames
    assert place_of(read_frame).endswith(place)
