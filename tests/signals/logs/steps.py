"""Steps of the tests of logs: send lines, write their rows, and ask."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.protocol.envelope import Envelope, Item
from app.signals.kinds import SIGNALS
from app.signals.logs.filtering import LogFilter
from app.signals.walk import catch_up
from app.store import utc_now
from tests.conftest import Parts

HEADERS = {"type": "log", "content_type": "application/vnd.sentry.items.log+json"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def entry(body: Any = "order paid", at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Return a line as SDKs send it.

    :param more: fields; ``attributes`` are values by name.
    """
    attributes = more.pop("attributes", {})
    given = {
        "timestamp": (at or utc_now()).timestamp(),
        "trace_id": TRACE,
        "level": "info",
        "severity_number": 9,
        "body": body,
        "attributes": {name: typed(value) for name, value in attributes.items()},
    }
    return given | more


def typed(value: Any) -> dict[str, Any]:
    """Return the value of an attribute as SDKs send it."""
    kind = {bool: "boolean", int: "integer", float: "double"}.get(type(value), "string")
    return {"value": value, "type": kind}


def send(parts: Parts, *entries: Any, project_id: int = 1, headers: Any = None) -> None:
    """Store an envelope with lines, and write their rows."""
    item = Item({**HEADERS, "item_count": len(entries)}, {"items": list(entries)})
    parts.intake.accept(Envelope(headers or {}, [item]), project_id=project_id, timeout_s=5)
    catch_up(parts.store, SIGNALS)


def found(parts: Parts, query: str = "", **filter: Any) -> list[str]:
    """Return the bodies of all lines that a filter finds, the newest first, in pages of 7."""
    bodies: list[str] = []
    before = None
    while True:
        with parts.store.read() as conn:
            page = LogFilter(query=query or None, **filter).page(conn, before=before, limit=7)
        bodies += [line.body for line in page.lines]
        before = page.next
        if before is None:
            return bodies


def ago(**of: float) -> datetime:
    """Return a time in the past, which SDKs send as a number."""
    return datetime.fromtimestamp((utc_now() - timedelta(**of)).timestamp(), UTC)


def facts(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a line of the API says, to compare."""
    return line["body"], line["level"], line["trace_id"], line["release"], line["environment"]
