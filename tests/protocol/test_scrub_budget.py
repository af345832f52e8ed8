"""The scrubber's work for one envelope is bounded, and what it did not check is not stored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.delivery import accounting
from app.protocol.envelope import Envelope, Item
from app.protocol.scrub import Finding, Scrubber
from app.protocol.scrubbing.budget import MAX_WORK, UNCHECKED, WorkBudget
from tests.conftest import parts_of
from tests.protocol.corpus import ENTRIES, envelope_of

PROJECT_ID = 1
# A smaller budget for smaller attacks: what is cut off where is the same.
LIMIT = MAX_WORK // 16
SECRET = "k7xR2mQ9zPw4"
HINTS = "eyJ --p @ SG. -----BEGIN Bearer 4111111111111111 password=abc123def "


def scrubbed(
    payload: Any, scrubber: Scrubber | None = None, limit: int = LIMIT
) -> tuple[Any, list[Finding], int]:
    budget = WorkBudget(limit)
    result, findings = (scrubber or Scrubber()).scrub(payload, (), budget)
    return result, findings, budget.spent


def realistic_event(size: int) -> dict[str, Any]:
    """Return an event as SDKs send it, of about so many bytes."""
    line = "        total = sum(order.price * order.count for order in orders)  # in cents"
    frame = {
        "filename": "app/shop/cart.py",
        "abs_path": "/srv/app/shop/cart.py",
        "function": "total_of",
        "module": "app.shop.cart",
        "lineno": 41,
        "in_app": True,
        "pre_context": [line] * 5,
        "context_line": line,
        "post_context": [line] * 5,
        "vars": {"self": "<Cart object at 0x7f00>", "user": {"id": "7", "password": SECRET}},
    }
    crumb = {
        "type": "default",
        "category": "query",
        "timestamp": "2026-01-01T00:00:00Z",
        "message": "SELECT id, total FROM orders WHERE user_id = %s LIMIT 21",
        "data": {"rows": 3, "url": "https://example.org/cart?page=2&sort=asc"},
    }
    count = size // len(json.dumps([frame, crumb]))
    return {
        "platform": "python",
        "exception": {"values": [{"type": "E", "stacktrace": {"frames": [frame] * count}}]},
        "breadcrumbs": {"values": [crumb] * count},
    }


def nested(levels: int, value: Any) -> Any:
    for _ in range(levels):
        value = {"password": value}
    return value


ATTACKS: dict[str, Any] = {
    "pairs": [f"password={SECRET}{i} " * 40 for i in range(400)],
    "one long text": HINTS + f"password={SECRET} " * 16_000,
    "unsafe keys": {f"password={SECRET}{i}": i for i in range(7_000)},
    "many unsafe dicts": [{f"password={SECRET}{i}": i} for i in range(6_000)],
    "copies": {
        "secrets": [{"token": f"{SECRET}{i:04}"} for i in range(32)],
        "texts": [f"{SECRET}{i % 32:04} " * 20 for i in range(1_000)],
    },
    "dangerous units": [HINTS * 280 for _ in range(14)],
    "many numbers": [{"pin": i} for i in range(26_000)],
    "harmless leaves": nested(90, {f"n{i}": None for i in range(14_000)}),
}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member)
    else:
        yield value


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_recorded_request_stays_below_a_quarter_of_the_budget(entry: dict[str, Any]) -> None:
    budget, scrubber = WorkBudget(), Scrubber()
    for item in envelope_of(entry).items:
        if not isinstance(item.payload, bytes):
            item.payload, _ = scrubber.scrub(item.payload, (), budget)
    assert budget.spent < MAX_WORK / 4
    assert not budget.is_exceeded


def test_ordinary_event_of_a_megabyte_stays_below_a_quarter_of_the_budget() -> None:
    result, findings, spent = scrubbed(realistic_event(1_000_000), limit=MAX_WORK)
    assert 1_000_000 < spent < MAX_WORK / 4
    assert UNCHECKED not in json.dumps(result)
    assert "budget" not in {finding.rule for finding in findings}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_with_the_budget_and_no_secret_of_it_survives(name: str) -> None:
    budget = WorkBudget(LIMIT)
    result, findings = Scrubber().scrub(ATTACKS[name], (), budget)
    text = json.dumps(result)
    assert budget.is_exceeded
    assert budget.spent <= LIMIT
    assert UNCHECKED in text
    assert SECRET not in text
    assert 0 < sum(finding.rule == "budget" for finding in findings) <= 11
    assert sum(len(finding.path) for finding in findings) <= 1_000_000


@pytest.mark.parametrize("name", ["copies", "dangerous units", "many unsafe dicts"])
def test_result_does_not_depend_on_what_was_scrubbed_before(name: str) -> None:
    used = Scrubber()
    used.scrub(realistic_event(20_000))
    first = scrubbed(ATTACKS[name], used)
    assert scrubbed(ATTACKS[name], used) == first
    assert scrubbed(ATTACKS[name], Scrubber()) == first


def test_short_texts_that_are_known_to_be_clean_cost_the_same_again() -> None:
    scrubber = Scrubber(patterns=["cust-[0-9]{4}"])
    event = {"texts": [f"mail {i}@example.org: x" for i in range(200)]}
    first = scrubbed(event, scrubber)[2]
    assert scrubbed(event, scrubber)[2] == first


def test_what_was_not_checked_keeps_its_shape_and_unique_keys() -> None:
    long_key = "a-name-of-a-customer"
    event = {"a": [{"x": "t", long_key: {"y": [1, None, True]}, long_key + "2": []}]}
    result, _ = Scrubber().scrub(event, (), WorkBudget(limit=100))
    assert result == {
        "a": [{"x": UNCHECKED, UNCHECKED: {"y": [UNCHECKED, None, True]}, f"{UNCHECKED} (2)": []}]
    }
    assert event["a"][0]["x"] == "t"


def test_text_that_could_not_be_read_is_replaced_and_numbers_of_judged_names_stay() -> None:
    event = {"a": "x" * 1_000, "n": 7, "ok": False, "b": "y"}
    result, findings = Scrubber().scrub(event, (), WorkBudget(limit=600))
    assert result == {"a": UNCHECKED, "n": 7, "ok": False, "b": UNCHECKED}
    assert findings == [Finding("a", "budget"), Finding("b", "budget")]


def test_named_pair_beyond_the_budget_is_replaced() -> None:
    pair = ["Cookie" + "-" * 2_000, "sid=" + SECRET]
    result, _ = Scrubber().scrub([[pair]], (), WorkBudget(limit=2_000))
    assert result == [[[UNCHECKED, UNCHECKED]]]


@pytest.mark.parametrize("limit", range(0, 6_000, 50))
def test_no_limit_lets_a_secret_through(limit: int) -> None:
    event = {
        "password": SECRET,
        "pin": 123456,
        "message": f"token={SECRET} and more",
        f"password={SECRET}": {"copy": SECRET, "deep": [[["Cookie", SECRET]]]},
        "args": ["--password", SECRET],
        "list": [{"name": "token", "value": SECRET}, {"secret": {"pin": 123456}}],
    }
    result, _ = Scrubber().scrub(event, (), WorkBudget(limit))
    assert SECRET not in json.dumps(result)
    assert "123456" not in json.dumps(result)


def test_items_of_an_envelope_share_a_budget() -> None:
    budget, scrubber = WorkBudget(limit=2_000), Scrubber()
    results = [scrubber.scrub({"m": "x" * 200}, (), budget)[0]["m"] for _ in range(5)]
    assert results[0] == "x" * 200
    assert results[-1] == UNCHECKED
    assert budget.spent <= budget.limit


def test_many_unsafe_keys_keep_apart_and_are_numbered() -> None:
    result, _, _ = scrubbed({f"password={SECRET}{i}": i for i in range(4_000)}, limit=MAX_WORK)
    names = list(result)
    assert names[:2] == ["password=[Filtered]", "password=[Filtered] (2)"]
    assert names[-1] == "password=[Filtered] (4000)"


def test_envelope_beyond_the_budget_is_accepted_and_counted(app: Flask) -> None:
    intake = parts_of(app).intake
    event_id = "c" * 32
    payload = {
        "event_id": event_id,
        "message": "hello",
        "extra": {"rows": f"password={SECRET} " * 300_000},
    }
    sent = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    intake.accept(sent, project_id=PROJECT_ID, timeout_s=10)

    client = app.test_client()
    stored = client.get(f"/api/events/{event_id}").text
    assert UNCHECKED in stored
    assert SECRET not in stored
    with parts_of(app).store.read() as conn:
        assert accounting.read_counter(conn, "scrub_budget_exceeded") == 1
    counted = 'devenviro_counter_total{name="scrub_budget_exceeded"} 1'
    assert counted in client.get("/metrics").text
