"""Traces to test with: programs with Sentry's SDK, and envelopes made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from flask import Flask
from sentry_sdk.envelope import Envelope as SdkEnvelope
from sentry_sdk.transport import Transport

from app.protocol.envelope import Envelope, Item, parse_envelope
from app.search.indexing import catch_up as make_searchable
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from tests.conftest import parts_of

TRACE = "abcdef0123456789abcdef0123456789"
BEGAN = 1795457965.0


class ToProject(Transport):
    """Stores what the SDK of a program sends in a project, and keeps it."""

    def __init__(self, app: Flask, project_id: int) -> None:
        super().__init__()
        self.app, self.project_id = app, project_id
        self.sent: list[Envelope] = []

    def capture_envelope(self, envelope: SdkEnvelope) -> None:
        self.sent.append(parse_envelope(envelope.serialize()))
        store(self.app, envelope.serialize(), project_id=self.project_id)


@contextmanager
def program(app: Flask, project_id: int, **options: Any) -> Iterator[ToProject]:
    """Run a block as a program of a project, with its own SDK."""
    transport = ToProject(app, project_id)
    client = sentry_sdk.Client(
        dsn=f"http://key@127.0.0.1/{project_id}",
        transport=transport,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
        **options,
    )
    with sentry_sdk.isolation_scope() as scope, sentry_sdk.new_scope() as inner:
        scope.set_client(client)
        inner.set_client(client)
        yield transport
        client.close(timeout=2)


def store(app: Flask, body: bytes, *, project_id: int = 1) -> None:
    """Store an envelope in wire form."""
    parts_of(app).intake.accept(parse_envelope(body), project_id=project_id, timeout_s=10)


def send(app: Flask, *items: Item, project_id: int = 1, event_id: str | None = None) -> None:
    """Store an envelope with items."""
    headers = {"event_id": event_id} if event_id else {}
    parts_of(app).intake.accept(Envelope(headers, list(items)), project_id=project_id, timeout_s=10)


def settle(app: Flask) -> None:
    """Do what the background tasks do within seconds: read the envelopes, index the events."""
    catch_up(parts_of(app).store, SIGNALS)
    make_searchable(parts_of(app).store)


def span_id(number: int) -> str:
    return f"{number:016x}"


def span(
    number: int, parent: int | None, start: float = 0.0, ms: float = 10.0, **others: Any
) -> dict[str, Any]:
    """Return a span inside a transaction.

    :param start: in milliseconds after the beginning of the trace.
    """
    return {
        "trace_id": TRACE,
        "span_id": span_id(number),
        "parent_span_id": None if parent is None else span_id(parent),
        "start_timestamp": BEGAN + start / 1000,
        "timestamp": BEGAN + (start + ms) / 1000,
        **others,
    }


def transaction(
    number: int,
    spans: list[dict[str, Any]],
    *,
    parent: int | None = None,
    start: float = 0.0,
    ms: float = 100.0,
    name: str = "GET /orders",
    trace_id: str = TRACE,
    **others: Any,
) -> Item:
    """Return a transaction with spans."""
    given = span(number, parent, start, ms)
    times = {name: given.pop(name) for name in ("start_timestamp", "timestamp")}
    trace = {**given, "trace_id": trace_id, "op": "http.server", "status": "ok"}
    trace |= others.pop("trace", {})
    payload = {
        "type": "transaction",
        "event_id": f"{number:032x}",
        "transaction": name,
        "contexts": {"trace": trace},
        "spans": spans,
        **times,
        **others,
    }
    return Item({"type": "transaction"}, payload)


def streamed(
    number: int, parent: int | None, start: float = 0.0, ms: float = 10.0, **others: Any
) -> dict[str, Any]:
    """Return a span as the SDKs stream it."""
    given = span(number, parent, start, ms)
    given["end_timestamp"] = given.pop("timestamp")
    attributes = {
        name: {"value": value, "type": "string"}
        for name, value in others.pop("attributes", {}).items()
    }
    return {**given, "name": "work", "status": "ok", "attributes": attributes, **others}


def stream(spans: list[dict[str, Any]]) -> Item:
    """Return an item with streamed spans."""
    kind = "application/vnd.sentry.items.span.v2+json"
    headers = {"type": "span", "item_count": len(spans), "content_type": kind}
    return Item(headers, {"version": 2, "items": spans})
