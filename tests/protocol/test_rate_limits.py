"""Rate limits as Sentry states them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.protocol import rate_limits
from app.protocol.rate_limits import EVERYTHING, MAX_LIMIT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def seconds(limits: dict[str, datetime]) -> dict[str, float]:
    return {category: (until - NOW).total_seconds() for category, until in limits.items()}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("60::organization", {EVERYTHING: 60}),
        ("60", {EVERYTHING: 60}),
        ("60:error", {"error": 60}),
        ("60:error;default:key:quota", {"error": 60, "default": 60}),
        (" 60 : error ; default : key , 2700:transaction:org ", {
            "error": 60, "default": 60, "transaction": 2700,
        }),
        ("60:error:key, 90:error:org, 30:error:x", {"error": 90}),
        ("1.5:session:key", {"session": 1.5}),
        ("60:future_category:key", {"future_category": 60}),
        ("60:metric_bucket:organization:quota:custom", {"metric_bucket": 60}),
        ("", {}),
        ("nonsense", {}),
        ("-5:error:key", {}),
        ("nan:error:key, inf:error:key", {}),
        ("soon:error:key, 10:span:key", {"span": 10}),
    ],
)  # fmt: skip
def test_header_is_read(header: str, expected: dict[str, float]) -> None:
    assert seconds(rate_limits.parse_rate_limits(header, NOW)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60.0),
        ("1e400", None),
        ("-1", None),
        ("", None),
        ("later", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    until = rate_limits.parse_retry_after(value, NOW)
    assert (until and (until - NOW).total_seconds()) == expected


def test_limit_of_a_hundred_years_is_asked_for_again_after_a_day() -> None:
    limits = rate_limits.parse_rate_limits("9999999999999:error", NOW)
    assert rate_limits.merged({}, limits, NOW) == {"error": NOW + MAX_LIMIT}


def test_limits_that_ended_are_forgotten_and_later_ends_win() -> None:
    old = {"error": NOW + timedelta(seconds=50), "span": NOW - timedelta(seconds=1)}
    new = {"error": NOW + timedelta(seconds=20), "session": NOW + timedelta(seconds=5)}
    assert seconds(rate_limits.merged(old, new, NOW)) == {"error": 50, "session": 5}


def test_events_wait_for_error_and_for_default_and_unknown_types_for_themselves() -> None:
    until = NOW + timedelta(seconds=9)
    assert "event" in rate_limits.limited_types({"default": until}, NOW)
    assert "event" in rate_limits.limited_types({"error": until}, NOW)
    assert "event" not in rate_limits.limited_types({"transaction": until}, NOW)
    assert "future_thing" in rate_limits.limited_types({"future_thing": until}, NOW)
    assert rate_limits.limited_types({"error": NOW}, NOW) == frozenset()


def test_envelope_waits_for_the_longest_limit_that_names_one_of_its_items() -> None:
    limits = {
        "attachment": NOW + timedelta(seconds=30),
        "error": NOW + timedelta(seconds=10),
        "session": NOW + timedelta(seconds=99),
    }
    assert rate_limits.longest(limits, ["event", "attachment"]) == NOW + timedelta(seconds=30)
    assert rate_limits.longest({EVERYTHING: NOW}, ["whatever"]) == NOW
    assert rate_limits.longest(limits, ["feedback"]) is None
