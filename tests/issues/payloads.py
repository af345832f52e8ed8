"""Minimal payloads for the tests of grouping."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.issues.grouping import Grouping, group
from app.protocol.event import Event, read_event

Payload = dict[str, Any]


def read(payload: Payload) -> Event:
    return read_event(payload, event_id="a" * 32, received_at=datetime(2026, 11, 24, tzinfo=UTC))


def grouped(payload: Payload) -> Grouping:
    return group(read(payload))


def py(call: str, *, line: int = 1, in_app: bool | None = True, **more: Any) -> Payload:
    """Return a Python frame from ``module:function``."""
    module, _, function = call.rpartition(":")
    filename = module.replace(".", "/") + ".py"
    frame = {"module": module, "function": function, "filename": filename, "lineno": line}
    return {**frame, "in_app": in_app, **more}


def at(path: str, function: str | None = "pay", **more: Any) -> Payload:
    """Return a frame with a path and no module."""
    return {"filename": path, "function": function, "in_app": True, "lineno": 1, **more}


def exc(
    *frames: Payload, type: str | None = "ValueError", value: Any = "x", **more: Any
) -> Payload:
    """Return an exception with its frames, oldest first."""
    stack = {"stacktrace": {"frames": list(frames)}} if frames else {}
    return {"type": type, "value": value, **stack, **more}


def error(*frames: Payload, **more: Any) -> Payload:
    """Return an event with one exception."""
    return {"exception": {"values": [exc(*frames, **more)]}}


def chain(*exceptions: Payload) -> Payload:
    """Return an event with several exceptions, the oldest cause first."""
    return {"exception": {"values": list(exceptions)}}


def calls(*names: str, **more: Any) -> Payload:
    """Return an event with one exception in these functions of ``shop.pay``."""
    return error(*(py(f"shop.pay:{name}") for name in names), **more)


def script(path: str, function: str | None = "pay", **more: Any) -> Payload:
    """Return an event of a browser with one frame."""
    type, value = more.pop("type", "TypeError"), more.pop("value", "x is undefined")
    frame = at(path, function, **more)
    return {"platform": "javascript", **error(frame, type=type, value=value)}


def in_group(*members: Payload) -> Payload:
    """Return an event with an exception group of ``shop.pay:batch``, as the Python SDK sends it."""
    ids = range(len(members), 0, -1)
    inner = [
        {**member, "mechanism": mechanism(id, 0, f"exceptions[{id - 1}]")}
        for id, member in zip(ids, reversed(members), strict=True)
    ]
    root = exc(py("shop.pay:batch"), type="ExceptionGroup", value="batch failed")
    root["mechanism"] = {"type": "generic", "exception_id": 0, "is_exception_group": True}
    return chain(*inner, root)


def mechanism(id: int, parent: int, source: str) -> Payload:
    return {"type": "chained", "exception_id": id, "parent_id": parent, "source": source}
