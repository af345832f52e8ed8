"""The page of a profile: what the SDK sampled is drawn, and a call leads to the part below it."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient

from app.admin.flame import MAX_BOXES
from app.protocol.envelope import Item
from tests.traces.steps import program, send, settle, transaction

pytestmark = pytest.mark.one_database


def boxes_of(page: str) -> dict[str, tuple[str, float, str]]:
    """Return the boxes by their label: x, width, and where they lead."""
    found = re.findall(
        r'<a data-item href="([^"]+)" aria-label="([^"]+)"[^>]*>'
        r'<svg x="([\d.]+)%" y="\d+" width="([\d.]+)%"',
        page,
    )
    return {
        unescape(label): (float(x), float(width), unescape(address))
        for address, label, x, width in found
    }


def busy_total() -> float:
    end, total = time.perf_counter() + 0.1, 0.0
    while time.perf_counter() < end:
        total += 1
    return total


@pytest.mark.filterwarnings("ignore:Transaction-based profiling")
def test_profile_of_the_sdk_leads_from_its_delivery_and_its_span(
    app: Flask, admin_client: FlaskClient
) -> None:
    with program(app, 1, profiles_sample_rate=1.0):
        with sentry_sdk.start_transaction(op="task", name="invoice") as root:
            busy_total()
    settle(app)
    page = admin_client.get(f"/admin/traces/{root.trace_id}?span={root.span_id}").text
    (address,) = re.findall(r'href="(/admin/deliveries/\d+/profile)">Flame graph', page)
    drawn = boxes_of(admin_client.get(address).text)
    assert any("busy_total, " in label for label in drawn)
    delivery = admin_client.get(address.removesuffix("/profile")).text
    (item,) = re.findall(r'href="(/admin/deliveries/\d+/profile\?item=\d)">Flame graph', delivery)
    assert "Profile" in delivery and "invoice" in delivery
    assert boxes_of(admin_client.get(item).text).keys() == drawn.keys()


def profile(stacks: list[list[int]], counts: list[int], names: list[str]) -> Item:
    samples = [
        {"stack_id": number, "thread_id": "1", "elapsed_since_start_ns": 0}
        for number, count in enumerate(counts)
        for _ in range(count)
    ]
    frames = [{"function": name} for name in names]
    parts = {"frames": frames, "stacks": stacks, "samples": samples}
    return Item({"type": "profile"}, {"version": "1", "profile": parts})


def page_of(app: Flask, client: FlaskClient, item: Item, query: str = "") -> str:
    """Store a profile beside a transaction, and return its page."""
    send(app, transaction(1, []), item)
    settle(app)
    found = client.get(f"/admin/deliveries/1/profile{query}")
    assert found.status_code == 200
    return found.text


def test_call_leads_to_the_part_below_it(app: Flask, admin_client: FlaskClient) -> None:
    # Innermost first: main calls a (of it b) and c.
    item = profile([[1, 0], [2, 1, 0], [3, 0]], [1, 2, 1], ["main", "a<b>", "b", "c"])
    page = page_of(app, admin_client, item)
    drawn = boxes_of(page)
    assert {label: box[:2] for label, box in drawn.items()} == {
        "all samples, 100%": (0, 100),
        "main, 100%": (0, 100),
        "a<b>, 75%": (0, 75),
        "b, 50%": (0, 50),
        "c, 25%": (75, 25),
    }
    assert "a<b>" not in page
    below = boxes_of(admin_client.get(drawn["a<b>, 75%"][2]).text)
    assert {label: box[:2] for label, box in below.items()} == {
        "all samples, 100%": (0, 100),
        "main, 100%": (0, 100),
        "a<b>, 75%": (0, 100),
        "b, 50%": (0, 66.667),
    }
    assert boxes_of(admin_client.get(below["all samples, 100%"][2]).text) == drawn


def test_graph_is_bounded_and_says_what_is_left_out(app: Flask, admin_client: FlaskClient) -> None:
    count = MAX_BOXES + 50
    names = [f"function {number}" for number in range(count)]
    page = page_of(app, admin_client, profile([[n] for n in range(count)], [1] * count, names))
    assert len(boxes_of(page)) == MAX_BOXES
    assert "51 narrow calls are not drawn" in page  # One box stands for all samples.
    assert len(page) < 300_000


def test_outer_calls_are_drawn_before_what_is_below_a_few_of_them(
    app: Flask, admin_client: FlaskClient
) -> None:
    names = [f"{kind} {number}" for number in range(300) for kind in ("outer", "inner")]
    stacks = [[2 * number + 1, 2 * number] for number in range(300)]
    drawn = boxes_of(page_of(app, admin_client, profile(stacks, [1] * 300, names)))
    assert len(drawn) == MAX_BOXES
    assert sum(label.startswith("outer") for label in drawn) == 300


def test_envelope_without_a_profile_has_no_such_page(app: Flask, admin_client: FlaskClient) -> None:
    send(app, transaction(1, []), Item({"type": "profile"}, {"sampled_profile": "AAAA"}))
    settle(app)
    for path in ("1/profile", "1/profile?item=0", "1/profile?item=7", "9/profile"):
        answer = admin_client.get(f"/admin/deliveries/{path}")
        assert answer.status_code == 404 and "no profile that can be drawn" in answer.text
