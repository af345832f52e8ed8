"""Transactions in whatever form a client sends them: their names, how long they took, their end."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from app.protocol.envelope import Envelope, Item, parse_envelope
from app.protocol.transaction import UNNAMED, Timing, read_timings
from tests.ingest.corpus import load

GIVEN = {"transaction": "/cart", "start_timestamp": 1795457965.5, "timestamp": 1795457965.75}

PYTHON = ("ok", "deveniro@1.4.2+build7", "staging")


def read(kind: str = "transaction", **members: Any) -> list[Timing]:
    return read_timings(Envelope({}, [Item({"type": kind}, {**GIVEN, **members})]))


def status(value: Any) -> dict[str, Any]:
    return {"contexts": {"trace": {"status": value}}}


@pytest.mark.parametrize(
    ("start", "end", "ms"),
    [
        (1795457965.5, 1795457965.75, 250),
        (1795457965500, 1795457965750, 250),
        ("1795457965.5", "1795457965.75", 250),
        ("2026-11-23T18:17:41.301539Z", "2026-11-23T18:17:41.342171Z", 40.632),
        ("2026-11-23T18:17:41+00:00", "2026-11-23T19:17:41.100+01:00", 100),
        ("2026-11-23T18:17:41Z", 1795457861.5, 500),
        (1795457965, 1795457965, 0),
        (1795457965, 1795457965 + 86400, 86_400_000),
    ],
)
def test_duration_is_read_in_every_form_of_a_time(start: Any, end: Any, ms: float) -> None:
    [timing] = read(start_timestamp=start, timestamp=end)
    assert timing.ms == pytest.approx(ms, abs=1e-3)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, 1795457965),
        (1795457965, None),
        (1795457966, 1795457965),
        (1795457965, 1795457965 + 86401),
        ("yesterday", "today"),
        (True, [1]),
        (float("nan"), 1795457965),
    ],
)
def test_nonsense_is_a_request_of_unknown_duration(start: Any, end: Any) -> None:
    [timing] = read(start_timestamp=start, timestamp=end)
    assert timing.ms is None and timing.transaction == "/cart"


@pytest.mark.parametrize(
    ("value", "failed"),
    [
        ("ok", False),
        ("cancelled", False),
        ("unknown", False),
        ("unknown_error", False),
        (None, False),
        (7, False),
        ("internal_error", True),
        ("not_found", True),
        ("deadline_exceeded", True),
    ],
)
def test_failure_is_what_sentry_counts_as_one(value: Any, failed: bool) -> None:
    [timing] = read(**status(value))
    assert timing.failed is failed


def test_names_are_kept_as_long_as_columns_are_and_absent_ones_are_empty() -> None:
    [long] = read(transaction="t" * 900, release="r" * 900, environment="e" * 900)
    assert [len(name) for name in long[:3]] == [200, 250, 64]
    [odd] = read(transaction={"a": 1}, release=[], contexts="none")
    assert odd[:3] == (UNNAMED, "", "")


@pytest.mark.parametrize(
    "payload", [b"no JSON", [], None, {"items": "none"}, {"items": [None, {"is_segment": 1}]}]
)
def test_what_is_no_transaction_is_none(payload: Any) -> None:
    items = [Item({"type": kind}, payload) for kind in ("event", "span", "session")]
    if not isinstance(payload, dict):
        items.append(Item({"type": "transaction"}, payload))
    assert read_timings(Envelope({}, items)) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentry-python-1.45.1__transaction", (*PYTHON, 40.632)),
        ("sentry-python-2.75.0__transaction-gzip", (*PYTHON, 53.77)),
        ("sentry-python-2.75.0__span-stream-none", (*PYTHON, 55.861)),
        ("sentry-node-11.12.0__transaction", ("GET /orders", "front@2.0.1", "prod-eu", 40.562)),
    ],
)
def test_transaction_of_a_real_client_is_read(name: str, expected: tuple[Any, ...]) -> None:
    [recorded] = [one for one in load() if one.name == name]
    body = recorded.body
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    [timing] = read_timings(parse_envelope(body))
    assert timing[:3] == expected[:3]
    assert timing.ms == pytest.approx(expected[3], abs=1e-2) and not timing.failed
