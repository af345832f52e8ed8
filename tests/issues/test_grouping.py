"""Grouping: the same bug is one issue, two bugs are two."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.issues.grouping import group, parametrize
from app.protocol.event import read_event


def key(**payload: object) -> str:
    event = read_event(payload, event_id="a" * 32, received_at=datetime.now(UTC))
    return group(event).key


def error(*functions: str, type: str = "ValueError", value: str = "x", line: int = 1) -> dict:
    frames = [
        {"module": "shop.pay", "function": name, "lineno": line, "in_app": True}
        for name in functions
    ]
    library = {"module": "flask.app", "function": "dispatch", "in_app": False}
    stack = {"frames": [library, *frames]}
    return {"exception": {"values": [{"type": type, "value": value, "stacktrace": stack}]}}


def test_message_and_line_numbers_of_an_error_with_a_stack_do_not_count() -> None:
    assert key(**error("pay", value="card 1", line=3)) == key(
        **error("pay", value="card 2", line=9)
    )


def test_two_functions_are_two_issues() -> None:
    assert key(**error("pay")) != key(**error("refund"))
    assert key(**error("pay", type="KeyError")) != key(**error("pay"))


def test_depth_of_a_recursion_does_not_count() -> None:
    assert key(**error("pay", "walk", "walk")) == key(**error("pay", "walk", "walk", "walk"))


def test_key_says_why_in_words() -> None:
    assert key(**error("pay", "charge")) == "ValueError at shop.pay:pay > shop.pay:charge"


def test_library_frames_count_only_where_there_are_no_others() -> None:
    assert key(**error()) == "ValueError at flask.app:dispatch"


def test_error_without_a_stack_is_told_by_its_message() -> None:
    bare = {"exception": {"values": [{"type": "E", "value": "order 17 of ada@example.org"}]}}
    assert key(**bare) == "E: order <number> of <email>"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("user 17 has 3.5 GB", "user <number> has <number> GB"),
        ("GET https://api.example.org/a?b=1 failed", "GET <url> failed"),
        ("at 2026-11-23T22:30:00.123Z", "at <date>"),
        ("object at 0x7f00aa", "object at <hex>"),
        ("id 550e8400-e29b-41d4-a716-446655440000 gone", "id <hex> gone"),
        ("\n  \nthe second line counts\nnot the third", "the second line counts"),
        ("", ""),
    ],
)
def test_what_changes_from_message_to_message_is_taken_out(message: str, expected: str) -> None:
    assert parametrize(message) == expected


def test_messages_group_by_their_template() -> None:
    def logged(formatted: str) -> str:
        return key(logentry={"message": "paying %s failed", "formatted": formatted})

    assert logged("paying ada failed") == logged("paying bob failed")


def test_long_hostile_message_is_cut_before_it_is_searched() -> None:
    assert len(parametrize("a@" * 500_000)) < 1000
