"""Events of hostile and broken clients: a script in every field, wrong types in any field."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Flask

from app.projects import OWN_PROJECT_ID
from app.protocol.envelope import Envelope, Item
from tests.conftest import parts_of

SCRIPT = (
    "\"'></script></title></textarea><script>window.ran=1</script>"
    '<img src=x onerror="window.ran=1"><svg/onload=window.ran=1>`${window.ran=1}`{{7*191}}'
)
LINK = "javascript:window.ran=1"


def insert(app: Flask, payload: dict[str, Any], project_id: int = OWN_PROJECT_ID) -> str:
    """Store an event without the SDK, and return its id."""
    event_id = uuid.uuid4().hex
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    envelope.items.append(
        Item({"type": "attachment", "filename": SCRIPT, "content_type": SCRIPT}, b"x" * 2000)
    )
    parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=5)
    return event_id


def script_event() -> dict[str, Any]:
    """Return an event with a script in every field that a page shows."""
    frame = {
        "function": SCRIPT,
        "module": SCRIPT,
        "filename": SCRIPT + ".py",
        "lineno": 7,
        "in_app": True,
        "context_line": f'    raise "{SCRIPT}"',
        "pre_context": ['"""', SCRIPT, "a\rb\nc"],
        "post_context": [SCRIPT, "# " + SCRIPT],
        "vars": {SCRIPT: SCRIPT, "nested": {SCRIPT: [SCRIPT, {"x": SCRIPT}]}},
    }
    chain = [
        {
            "type": SCRIPT,
            "value": SCRIPT,
            "module": SCRIPT,
            "mechanism": {"type": SCRIPT, "handled": True, "source": SCRIPT},
            "stacktrace": {
                "frames": [{**frame, "in_app": False}, {**frame, "in_app": False}, frame]
            },
        }
        for _ in range(2)
    ]
    return {
        "level": SCRIPT,
        "platform": SCRIPT,
        "logger": SCRIPT,
        "transaction": SCRIPT,
        "release": SCRIPT,
        "environment": "<script>window.ran=1</script>",
        "server_name": SCRIPT,
        "message": SCRIPT,
        "fingerprint": [SCRIPT],
        "tags": {SCRIPT: SCRIPT, "url": LINK},
        "user": {"id": SCRIPT, "email": LINK, SCRIPT: SCRIPT},
        "contexts": {SCRIPT: {SCRIPT: SCRIPT, "link": LINK}, "plain": SCRIPT},
        "extra": {SCRIPT: SCRIPT, "long": SCRIPT * 50},
        "modules": {SCRIPT: SCRIPT},
        "sdk": {"name": SCRIPT, "version": SCRIPT},
        "request": {
            "method": SCRIPT,
            "url": "http://example.org/" + SCRIPT,
            "query_string": [[SCRIPT, SCRIPT]],
            "headers": [[SCRIPT, SCRIPT], ["Referer", LINK]],
            "data": {SCRIPT: SCRIPT},
        },
        "breadcrumbs": {
            "values": [
                {"message": SCRIPT, "category": SCRIPT, "level": SCRIPT, "data": {SCRIPT: SCRIPT}}
            ]
        },
        "exception": {"values": chain},
    }


FIELDS = (
    "level platform logger transaction release environment server_name message logentry timestamp"
    " fingerprint tags user contexts extra modules sdk request breadcrumbs exception"
).split()
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**3000, "", "text", "\x1b[2J\u202e\x00", [], {}, [None], [[]],
    [["a"]], [["a", "b", "c"]], [{}], [[1, [2, {"a": None}]]], {"": None}, {"values": 5},
    {"values": {"a": 1}}, {"values": [None, 1, "x", [], {}]},
    {"a": {"b": [1, {"c": "d" * 50_000}]}},
]  # fmt: skip


def odd_events() -> list[dict[str, Any]]:
    """Return events that have an odd value in every field, then events with odd nested values."""
    whole = [{field: value for field in FIELDS} for value in ODD]
    return whole + [
        {
            "exception": {"values": [_odd_exception(value), _odd_exception(value)]},
            "breadcrumbs": [
                {n: value for n in ("timestamp", "level", "category", "type", "message", "data")}
            ],
            "request": {
                n: value for n in ("method", "url", "query_string", "headers", "data", "env")
            },
            "sdk": {"name": value, "version": value},
            "user": {"id": value, "data": value},
            "tags": [["key", value], value],
        }
        for value in ODD
    ]


def _odd_exception(value: Any) -> dict[str, Any]:
    names = (
        "function module filename abs_path lineno colno in_app pre_context post_context vars"
    ).split()
    frame = {**dict.fromkeys(names, value), "context_line": "x = 1"}
    return {
        "type": value,
        "value": value,
        "module": value,
        "mechanism": {"type": value, "handled": value, "source": value},
        "stacktrace": {"frames": [frame, value, {**frame, "context_line": value}]},
    }
