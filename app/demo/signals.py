"""The traces and logs of a demo: what stood around its newest errors.

page of the frontend ── request of the project ── database, cache, a call of a model
                                               └─ log lines, and the error
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app.demo.plan import Occurrence
from app.protocol.envelope import Envelope, Item

# One of so many errors has a trace and logs, the newest ones.
TRACED = 20
# Of a frontend, which has the number 1 in the plan.
FRONTEND = 1
_LOGS = {"type": "log", "content_type": "application/vnd.sentry.items.log+json"}
_QUERY = "SELECT price, currency FROM products WHERE id = %s"


def envelopes_around(
    occurrence: Occurrence, event: dict[str, Any], moment: datetime
) -> Iterator[tuple[int, Envelope]]:
    """Yield the envelopes that belong to an error, each with the number of its project.

    :param event: the payload of the error.
    :param moment: when it happened.
    """
    chance = random.Random(occurrence.number)  # noqa: S311 -- a demo, not a secret
    trace_id, span_id = (event["contexts"]["trace"][name] for name in ("trace_id", "span_id"))
    began = moment - timedelta(milliseconds=chance.randrange(300, 1400))
    root, call = _id(chance), _id(chance)
    page = _transaction(event, "/checkout", "pageload", trace_id, root, None, "ok")
    page |= {"platform": "javascript", "sdk": {"name": "sentry.javascript.react"}}
    spans = [_span(call, root, "http.client", f"POST {event['transaction']}", began, moment)]
    earlier, later = began - timedelta(seconds=0.4), moment + timedelta(seconds=0.2)
    yield FRONTEND, _within(page, spans, earlier, later, chance)
    own = _transaction(
        event, event["transaction"], "http.server", trace_id, span_id, call, "internal_error"
    )
    yield (
        occurrence.bug.project,
        _within(own, list(_work(span_id, began, moment, chance)), began, moment, chance),
    )
    lines = list(_lines(event, occurrence, began, moment))
    yield (
        occurrence.bug.project,
        Envelope({}, [Item(_LOGS | {"item_count": len(lines)}, {"items": lines})]),
    )


def _work(parent: str, began: datetime, ended: datetime, chance: random.Random) -> Iterator[Any]:
    """Yield what a request does: it looks up a product, asks for each price, and asks a model."""
    step = (ended - began) / 20
    yield _span(_id(chance), parent, "cache.get", "product:1842", began, began + step)
    for number in range(chance.randrange(4, 13)):
        at = began + step * (1 + number)
        yield _span(_id(chance), parent, "db.sql.query", _QUERY, at, at + step * 0.8)
    at = began + step * 14
    model = _span(_id(chance), parent, "gen_ai.chat", "chat small-model", at, at + step * 4)
    yield model | {
        "data": {"gen_ai.request.model": "small-model", "gen_ai.usage.input_tokens": 812}
    }


def _transaction(
    event: dict[str, Any],
    name: str,
    op: str,
    trace_id: str,
    span_id: str,
    parent: str | None,
    status: str,
) -> dict[str, Any]:
    trace = {"trace_id": trace_id, "span_id": span_id, "op": op, "status": status}
    trace |= {"parent_span_id": parent} if parent else {}
    kept = ("platform", "release", "environment", "server_name", "sdk", "user")
    return {
        **{name: event[name] for name in kept},
        "type": "transaction",
        "transaction": name,
        "contexts": {"trace": trace},
    }


def _within(
    payload: dict[str, Any],
    spans: list[dict[str, Any]],
    began: datetime,
    ended: datetime,
    chance: random.Random,
) -> Envelope:
    event_id = uuid.UUID(int=chance.getrandbits(128)).hex
    trace_id = payload["contexts"]["trace"]["trace_id"]
    payload |= {"event_id": event_id, "start_timestamp": began.timestamp()}
    payload |= {
        "timestamp": ended.timestamp(),
        "spans": [s | {"trace_id": trace_id} for s in spans],
    }
    return Envelope({"event_id": event_id}, [Item({"type": "transaction"}, payload)])


def _span(
    span_id: str, parent: str, op: str, description: str, began: datetime, ended: datetime
) -> dict[str, Any]:
    return {
        "span_id": span_id,
        "parent_span_id": parent,
        "op": op,
        "description": description,
        "start_timestamp": began.timestamp(),
        "timestamp": ended.timestamp(),
        "status": "ok",
    }


def _lines(
    event: dict[str, Any], occurrence: Occurrence, began: datetime, ended: datetime
) -> Iterator[dict[str, Any]]:
    noun, verb, order = occurrence.bug.noun, occurrence.bug.verb, 1000 + occurrence.number
    error = event["exception"]["values"][-1]
    texts = (
        ("info", f"{verb} {noun} {order} begins"),
        ("debug", f"{noun} {order} has 3 lines"),
        ("warn", "inventory answers slowly: 840 ms"),
        ("error", f"{verb} {noun} {order} failed: {error['value']}"),
    )
    attributes = {
        "order.id": order,
        "sentry.environment": event["environment"],
        "sentry.release": event["release"],
        "server.address": event["server_name"],
    }
    kinds = {int: "integer", str: "string"}
    for number, (level, body) in enumerate(texts):
        at = began + (ended - began) * (number + 1) / (len(texts) + 1)
        yield {
            "timestamp": at.timestamp(),
            "trace_id": event["contexts"]["trace"]["trace_id"],
            "span_id": event["contexts"]["trace"]["span_id"],
            "level": level,
            "body": body,
            "attributes": {
                name: {"value": value, "type": kinds[type(value)]}
                for name, value in attributes.items()
            },
        }


def _id(chance: random.Random) -> str:
    return f"{chance.getrandbits(64):016x}"
