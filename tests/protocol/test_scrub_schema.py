"""What is scrubbed is still an event to Sentry: its own parser finds no new error in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from app.protocol.scrub import Scrubber
from tests.protocol.corpus import ENTRIES, envelope_of
from tests.protocol.relay import errors_of

F = "[Filtered]"
TRACE = {"trace_id": "83a2f1dff17645b9946a18bba2f47bbc", "span_id": "a1b2c3d4e5f60718"}
STACK = {
    "frames": [
        {
            "function": "authenticate",
            "module": "auth.token",
            "filename": "auth/token.py",
            "lineno": 3,
            "context_line": "password = ask()",
            "pre_context": ["", "token = None"],
            "vars": {"user": {"id": "7"}},
        }
    ],
    "registers": {"rax": "0x1"},
}
ERROR = {
    "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
    "platform": "python",
    "logentry": {"message": "hello %s", "params": ["you"]},
    "contexts": {
        "trace": {**TRACE, "data": {"route": "/"}},
        "os": {"name": "Linux"},
        "device": {"family": "PC", "memory_size": 4111111111111111},
        "response": {"status_code": 200, "cookies": {"a": "b"}, "headers": {"Via": "x"}},
        "shop": {"cart": {"id": 1}},
    },
    "tags": {"region": "eu"},
    "user": {"id": "7", "geo": {"city": "Bonn"}, "data": {"plan": "free"}},
    "breadcrumbs": {"values": [{"category": "auth", "message": "login", "data": {"n": 1}}]},
    "request": {
        "method": "POST",
        "url": "https://shop.example/",
        "headers": {"Host": "shop.example"},
        "cookies": {"theme": "dark"},
        "query_string": {"page": "1"},
        "env": {"REMOTE_ADDR": "127.0.0.1"},
        "data": {"cart": {"id": 1}},
    },
    "exception": {
        "values": [
            {
                "type": "E",
                "value": "v",
                "mechanism": {"type": "auth", "handled": False, "data": {"n": 1}, "meta": {}},
                "stacktrace": STACK,
            }
        ]
    },
    "threads": {"values": [{"id": 1, "name": "main", "stacktrace": STACK}]},
    "extra": {"cart": {"id": 1}},
    "modules": {"flask": "3.0"},
    "sdk": {"name": "sentry.python", "version": "2.0.0", "settings": {"infer_ip": "auto"}},
    "debug_meta": {"images": []},
}
TRANSACTION = {
    "type": "transaction",
    "transaction": "/checkout",
    "start_timestamp": 1795716000.0,
    "timestamp": 1795716001.0,
    "contexts": {"trace": {**TRACE, "op": "http.server"}},
    "measurements": {"lcp": {"value": 2.5, "unit": "second"}},
    "breakdowns": {"span_ops": {"total.time": {"value": 1.5, "unit": "millisecond"}}},
    "spans": [
        {
            **TRACE,
            "parent_span_id": "a1b2c3d4e5f60719",
            "start_timestamp": 1795716000.0,
            "timestamp": 1795716001.0,
            "data": {"rows": 1},
            "tags": {"db": "shop"},
            "measurements": {"rows": {"value": 2.0}},
        }
    ],
}
NAMES = ("password", "session", "token", "credentials", "auth", "cookies", "api_key")
VALUES: list[Any] = [
    "fake12345678", 4821, 2.5, ["fake1", 2], {"a": "fake1", "n": 2}, {"value": 3},
    {"value": 1.5, "unit": "second"}, [["a", "fake1"]], {"type": "os", "name": {"x": ["fake1"]}},
    {"inner": {"value": 1.5}}, "a=fake1; b=fake2", "0x1f",
]  # fmt: skip


def objects_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each object of an event."""
    if isinstance(value, dict):
        yield path
    for key, member in _members(value):
        yield from objects_in(member, (*path, key))


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def at(event: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        event = event[key]
    return event


PLACES = [
    pytest.param(event, path, id=".".join(map(str, (event.get("type", "error"), *path))))
    for event in (ERROR, TRANSACTION)
    for path in objects_in(event)
]


def new_errors(event: dict[str, Any]) -> set[tuple[str, str]]:
    return errors_of(Scrubber().scrub(event)[0]) - errors_of(event)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("event", "path"), PLACES)
def test_secret_name_at_any_place_is_no_error_to_sentry(
    event: dict[str, Any], path: tuple[Any, ...], name: str
) -> None:
    for value in VALUES:
        planted = copy.deepcopy(event)
        at(planted, path)[name] = value
        assert new_errors(planted) == set(), value


def test_headers_tags_and_queries_as_pairs_are_no_error_to_sentry() -> None:
    event = copy.deepcopy(ERROR)
    pairs = [["Cookie", "a=b; c=d"], ["Authorization", "Bearer x"], ["X-Token", ["a", "b"]]]
    event["request"] |= {"headers": pairs, "query_string": [["token", "x"]]}
    event["request"]["cookies"] = [["sessionid", "x"], ["theme", "dark"]]
    event["tags"] = [["token", "x"], ["session", "fake1"]]
    assert new_errors(event) == set()
    assert Scrubber().scrub(event)[0]["request"]["headers"][0] == ["Cookie", F]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_recorded_event_has_no_new_error_to_sentry(entry: dict[str, Any]) -> None:
    for item in envelope_of(entry).items:
        if item.type in ("event", "transaction"):
            assert new_errors(item.payload) == set()
