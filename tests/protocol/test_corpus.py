"""Requests of real clients, old and new: each gives what it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.protocol.event import Event, clean_text, read_event, read_level
from tests.protocol.corpus import ENTRIES, EVENTS, envelope_of

RECEIVED = datetime(2026, 11, 24, tzinfo=UTC)
TEXTS = ("platform", "logger", "transaction", "release", "dist", "environment", "server_name")
# Members of items that are no events, where ``expected`` calls them as the item does.
PLAIN = ("status", "sid", "errors", "init", "check_in_id", "monitor_slug", "duration", "aggregates")
PLAIN += ("discarded_events", "event_id", "platform", "transaction", "server_name", "timestamp")


def every(entries: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("entry", entries, ids=[entry["file"] for entry in entries])


def read(entry: dict[str, Any]) -> Event:
    item = envelope_of(entry).event()
    assert item is not None
    return read_event(item.payload, event_id="a" * 32, received_at=RECEIVED)


def moment(value: str | float) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC)


def test_every_request_of_the_corpus_is_there() -> None:
    assert len(ENTRIES) == 68 and len(EVENTS) == 41


@every(ENTRIES)
def test_items_of_a_request_are_told_apart(entry: dict[str, Any]) -> None:
    envelope, told = envelope_of(entry), entry["items"]
    assert envelope.item_types == [item["type"] for item in told]
    assert envelope.headers.get("event_id") == entry.get("envelope_event_id")
    for item, expected in zip(envelope.items, told, strict=True):
        assert item.headers.get("filename") == expected.get("filename")
        if isinstance(item.payload, bytes):
            assert len(item.payload) == expected["payload_bytes"]


@every([entry for entry in ENTRIES if entry not in EVENTS])
def test_items_that_are_no_events_keep_what_they_say(entry: dict[str, Any]) -> None:
    expected = entry["expected"]
    items = [i for i in envelope_of(entry).items if i.type == expected["item"]]
    payload = items[0].payload
    members = {**payload, **payload.get("attrs", {})}
    for name in {*PLAIN, "release", "environment"} & expected.keys():
        assert members.get(name) == expected[name], name
    if "names" in expected:
        names = [member.get("name") for member in payload["items"]]
        assert names[: len(expected["names"])] == expected["names"]
        assert len(names) == expected["n"]


@every(EVENTS)
def test_exceptions_are_read_with_their_stacks(entry: dict[str, Any]) -> None:
    event, expected = read(entry), entry["expected"]
    values = [(e.type, (e.value or "")[:200], len(e.frames)) for e in event.exceptions]
    told = expected.get("exception_values", [])
    assert values == [(e["type"], e["value"][:200], e["frames"]) for e in told]
    if "exception" in expected:
        main = event.main_exception
        assert main is not None
        assert main.type == expected["exception"]["type"]
        assert main.mechanism == expected["exception"].get("mechanism")
        assert main.handled == expected["exception"].get("handled")


@every(EVENTS)
def test_facts_are_read(entry: dict[str, Any]) -> None:
    event, expected = read(entry), entry["expected"]
    assert {name: getattr(event, name) for name in TEXTS} == {n: expected.get(n) for n in TEXTS}
    assert event.level == read_level(expected.get("level"))
    assert event.timestamp == moment(expected["timestamp"])
    assert event.user == expected.get("user", {})
    assert event.fingerprint == expected.get("fingerprint", [])
    assert len(event.breadcrumbs) == (expected.get("n_breadcrumbs") or 0)
    sdk = expected.get("sdk") or {}
    assert (event.sdk.get("name"), event.sdk.get("version")) == (
        sdk.get("name"),
        sdk.get("version"),
    )
    tags = {name: clean_text(value) for name, value in expected.get("tags", {}).items()}
    assert {name: event.tags.get(name) for name in tags} == tags


@every(EVENTS)
def test_message_is_read(entry: dict[str, Any]) -> None:
    event, expected = read(entry), entry["expected"]
    told = expected.get("message")
    assert event.message_template == (told and clean_text(told))
    if expected.get("logentry"):  # The one whose formatting the client left to the server.
        assert event.message == "cli message world"
    else:
        assert event.message == event.message_template


@every([entry for entry in EVENTS if entry["expected"].get("request")])
def test_request_is_read(entry: dict[str, Any]) -> None:
    request, expected = read(entry).request, entry["expected"]["request"]
    assert request.get("url") == expected.get("url")
    assert request.get("method") == expected.get("method")
    assert sorted(request.get("headers", {})) == sorted(expected.get("header_names") or [])
    assert ("data" in request) == expected["has_data"]
