"""Whatever clients send as lines is read within bounds, and what was cut is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.protocol.envelope import Envelope, Item
from app.signals.kind import Stored
from app.signals.logs.reading import (
    MAX_ALL,
    MAX_ATTRIBUTES,
    MAX_BODY,
    MAX_LINES,
    MAX_NAME,
    MAX_VALUE,
    read_lines,
)
from app.store import utc_now
from tests.conftest import Parts, parts_of
from tests.signals.logs.steps import entry, found, send, typed

RECEIVED = datetime(2026, 11, 28, 12, tzinfo=UTC)


def read(*entries: Any, payload: Any = None) -> list[Any]:
    item = Item({"type": "log"}, {"items": list(entries)} if payload is None else payload)
    return read_lines(Stored(1, 1, None, RECEIVED, Envelope({}, [item])))


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "payload", [b"no JSON", [], None, 7, {"items": None}, {"items": [1, None, "x", []]}, {}]
)
def test_item_without_lines_is_read_as_none(payload: Any) -> None:
    item = Item({"type": "log"}, payload)
    assert read_lines(Stored(1, 1, None, RECEIVED, Envelope({}, [item]))) == []


def test_single_line_without_a_list_is_read() -> None:
    assert [line.body for line in read(payload=entry("alone"))] == ["alone"]


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"level": "warn"}, "warning"),
        ({"level": "TRACE"}, "debug"),
        ({"level": "fatal"}, "fatal"),
        ({"level": "loud", "severity_number": 17}, "error"),
        ({"level": None, "severity_number": 5}, "debug"),
        ({"level": [], "severity_number": "x"}, "info"),
        ({"level": "", "severity_number": 99}, "info"),
    ],
)
def test_level_is_named_or_that_of_the_number(given: dict[str, Any], level: str) -> None:
    assert read(entry() | given)[0].level == level


def test_odd_fields_are_read_as_absent_and_the_line_says_so() -> None:
    odd = {"timestamp": {}, "trace_id": 7, "span_id": "xyz", "body": ["a", 1], "attributes": "no"}
    (line,) = read(entry() | odd)
    assert (line.at, line.trace_id, line.span_id) == (RECEIVED, None, None)
    assert line.body == '["a", 1]' and line.attributes == {}
    assert line.cut == "1 attribute left out; span, trace left out; time of arrival"


# What a line sends, and what it says of it; nothing is dropped, cut or replaced without a word.
BOUNDS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"body": "b" * MAX_BODY}, None),
    ({"body": "b" * (MAX_BODY + 1)}, "1 character of the message cut"),
    ({"body": deep(100_000)}, "message left out"),
    ({"body": 10**5000}, "message left out"),
    ({"body": 1e308}, None),
    ({"attributes": [1]}, "1 attribute left out"),
    ({"attributes": {f"n{n}": n for n in range(MAX_ATTRIBUTES)}}, None),
    ({"attributes": {f"n{n}": n for n in range(MAX_ATTRIBUTES + 2)}}, "2 attributes left out"),
    ({"attributes": {"n" * MAX_NAME: "v" * MAX_VALUE}}, None),
    ({"attributes": {"n" * (MAX_NAME + 1): 1}}, "1 attribute left out"),
    ({"attributes": {"n": "v" * (MAX_VALUE + 1)}}, "1 value cut"),
    ({"attributes": {f"n{n}": "v" * MAX_VALUE for n in range(11)}}, "2 attributes left out"),
    ({"attributes": {"deep": {"value": deep(100_000)}}}, "1 attribute left out"),
    ({"attributes": {"huge": {"value": 10**5000}}}, "1 attribute left out"),
    ({"attributes": {"long": {"value": 10**3000}}}, "1 value cut"),
    ({"attributes": {"nul\0": 1, "nul\ud800": 2}}, "1 attribute left out"),
    ({"attributes": {"none": None, "of none": {"value": None, "type": "string"}}}, None),
    ({"attributes": {"sentry.release": "r" * 250, "sentry.environment": "e" * 64}}, None),
    ({"attributes": {"sentry.release": "r" * 251}}, "release cut"),
    ({"attributes": {"sentry.environment": {"value": "e" * 65}}}, "environment cut"),
    ({"attributes": {"sentry.release": deep(100_000)}}, "release left out"),
    ({"trace_id": "0" * 32, "span_id": ""}, None),
    ({"trace_id": "a" * 31}, "trace left out"),
    ({"span_id": "g" * 16}, "span left out"),
    ({"level": "loud"}, "level left out"),  # Its number is info.
    ({"level": "loud", "severity_number": 99}, "level left out"),
    ({"level": "loud", "severity_number": 17}, "level left out"),
    ({"level": None, "severity_number": 25}, "level left out"),
    ({"level": None, "severity_number": -1}, "level left out"),
    ({"level": None, "severity_number": 0}, None),
    ({"level": "", "severity_number": "9"}, None),
    ({"timestamp": None}, "time of arrival"),
    ({"timestamp": "yesterday"}, "time of arrival"),
    ({"timestamp": RECEIVED.timestamp() - 1}, None),
]


@pytest.mark.parametrize(("given", "said"), BOUNDS, ids=range(len(BOUNDS)))
def test_line_says_everything_that_is_not_as_it_was_sent(
    given: dict[str, Any], said: str | None
) -> None:
    (line,) = read(entry(at=RECEIVED - timedelta(seconds=1)) | given)
    assert line.cut == said


@pytest.mark.parametrize(
    "number", [0, -7, 2**53 + 1, -(2**63), 2**63, 2**64 + 1, 10**40, 1e40, 1e308, -1e-300]
)
def test_every_number_is_kept(number: float) -> None:
    (line,) = read(entry(at=RECEIVED - timedelta(seconds=1), attributes={"n": number, "m": 1}))
    assert line.attributes["n"] in (number, str(number)) and line.cut is None


def test_all_that_a_line_can_say_has_room() -> None:
    attributes = {f"n{n}": "v" * 9_000 for n in range(9_999)}
    attributes |= {"sentry.release": "r" * 999, "sentry.environment": "e" * 999}
    odd = {"trace_id": 1, "span_id": 1, "level": "x", "severity_number": 0, "timestamp": 0.5e300}
    odd |= {"body": "b" * 2_000_000, "attributes": attributes}
    lines = read(*[entry()] * (MAX_LINES - 1), odd, *[0] * 1_000_000)
    assert lines[-1].cut == (
        "1,000,000 lines of its envelope left out; 1,990,000 characters of the message cut; "
        "9,990 attributes left out; 9 values cut; release, environment cut; "
        "level, span, trace left out; time of arrival"
    )
    assert len(lines[-1].cut) <= 200


def test_time_that_was_impossible_on_arrival_is_said(app: Flask, client: FlaskClient) -> None:
    now = utc_now()
    times = {"future": now + timedelta(hours=1), "too old": now - timedelta(days=31)}
    times |= {"impossible": datetime(1969, 1, 1, tzinfo=UTC), "right": now - timedelta(days=29)}
    send(parts_of(app), *(entry(body, at) for body, at in times.items()))
    said = {line["body"]: line["cut"] for line in client.get("/api/logs").json["logs"]}
    assert said.pop("right") is None
    assert said == dict.fromkeys(("future", "too old", "impossible"), "time of arrival")


def test_ten_thousand_attributes_are_cut_and_the_line_says_so() -> None:
    (line,) = read(entry(attributes={f"name {n}": n for n in range(10_000)}))
    assert len(line.attributes) == MAX_ATTRIBUTES
    assert line.cut == f"{10_000 - MAX_ATTRIBUTES:,} attributes left out"


def test_huge_texts_are_cut_and_the_line_says_so() -> None:
    huge = {f"n{n}": "v" * 9_000 for n in range(20)}
    (line,) = read(entry("b" * 1_000_000, attributes=huge | {"n" * 300: 1}))
    assert len(line.body) == MAX_BODY
    assert sum(len(str(value)) for value in line.attributes.values()) <= MAX_ALL
    assert "990,000 characters of the message cut" in line.cut
    assert "12 attributes left out" in line.cut and "9 values cut" in line.cut


def test_lines_beyond_the_bound_are_left_out_and_the_last_one_says_so() -> None:
    lines = read(*(entry(str(n)) for n in range(MAX_LINES + 7)))
    assert len(lines) == MAX_LINES
    assert lines[-1].cut == "7 lines of its envelope left out" and lines[-2].cut is None
    (line,) = read(None, entry("alone"), 7)
    assert line.cut == "2 lines of its envelope left out"


def test_strange_texts_are_stored_found_and_shown(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    parts: Parts = parts_of(app)
    strange = "nul\0 lone\ud800 <b>bold</b> \x1b[31m \u202e {{7*7}} zebra"
    attributes = {
        "<i>": "<script>alert(1)</script>",
        "nul\0": "\ud800",
        "nan": float("nan"),
        "big": 10**30,
        "float": 1e-07,
        "": "nameless",
        "list": [1, 2],
    }
    nested = {"deep": deep(60), "own": {"value": {"x": 1}, "type": "object"}}
    line = entry(strange, attributes=attributes)
    line["attributes"] |= nested | {"none": None, "of none": typed(None)}
    send(parts, line)
    assert len(found(parts, "zebra")) == len(found(parts, "big:" + str(10**30))) == 1
    assert len(found(parts, "float:1e-7 list:*")) == 1
    (shown,) = client.get("/api/logs").json["logs"]
    assert "\0" not in shown["body"] and shown["attributes"]["<i>"].startswith("<script>")
    page = admin_client.get("/admin/logs?period=all").text
    assert "<script>alert(1)" not in page and "&lt;b&gt;bold" in page


@pytest.mark.one_database
def test_block_of_the_largest_lines_is_written_and_searched(app: Flask) -> None:
    parts = parts_of(app)
    body = " ".join(f"w{n}x" for n in range(1400))
    send(parts, *(entry(f"{body} line{n}", attributes={"k": body[:1900]}) for n in range(40)))
    assert len(found(parts, "w77x")) == 40
    assert found(parts, "w77y") == []
