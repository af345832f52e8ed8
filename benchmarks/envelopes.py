"""Typical envelopes: events of 16 KB of many bugs, transactions, metrics and sessions."""

from __future__ import annotations

import gzip
import json
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.scrub import ordinary_event

ERRORS = ("PriceMismatch", "CartExpired", "PaymentRefused", "StockMissing", "AddressInvalid")
VERBS = ("checkout", "reserve", "refund", "ship", "sign_in", "export", "import_feed")
USERS = 500
# The lines of a bug move a little between releases, and it must stay one issue.
RELEASES = 7

ENCODE: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress}


def event_of(bug: int, number: int) -> dict[str, Any]:
    """Return an event of a bug: type, function and module depend on the bug, the rest differs.

    :param bug: the number of the bug; two bugs differ in type and in function.
    :param number: the number of the occurrence; message, user, release and lines depend on it.
    """
    event = ordinary_event()
    # The name has letters only, since grouping may ignore numbers.
    name = "".join(chr(ord("a") + int(digit)) for digit in str(bug))
    error, verb = ERRORS[bug % len(ERRORS)] + name.title(), f"{VERBS[bug % len(VERBS)]}_{name}"
    release, user = number % RELEASES, f"c-{number % USERS}"
    event |= {
        "event_id": uuid.uuid4().hex,
        "timestamp": datetime.now(UTC).isoformat(),
        "release": f"shop@1.4.{release}",
        "transaction": f"orders.{verb}",
        "user": {"id": user, "email": f"{user}@shop.example"},
    }
    exception = event["exception"]["values"][0]
    del exception["stacktrace"]["frames"][:2]
    exception |= {"type": error, "value": f"order {number}: {number % 997}.99 is not 120.99"}
    for frame in exception["stacktrace"]["frames"]:
        frame["lineno"] += release
    raising = exception["stacktrace"]["frames"][-1]
    raising |= {"function": verb, "module": f"shop.orders.{verb}", "filename": f"shop/{verb}.py"}
    return event


def transaction_of(number: int) -> dict[str, Any]:
    """Return a transaction of one of seven routes, of 10 to 200 ms, with ten spans."""
    now = datetime.now(UTC).timestamp()
    trace = {"trace_id": uuid.uuid4().hex, "span_id": "b" * 16, "op": "http.server"}
    span = {**trace, "op": "db.sql.query", "description": "SELECT * FROM orders WHERE id = %s"}
    failed = number % 50 == 0
    return {
        "type": "transaction",
        "event_id": uuid.uuid4().hex,
        "transaction": f"orders.{VERBS[number % len(VERBS)]}",
        "release": f"shop@1.4.{number % 2}",
        "environment": "production",
        "start_timestamp": now - 0.01 * (1 + number % 20),
        "timestamp": now,
        "contexts": {"trace": {**trace, "status": "internal_error" if failed else "ok"}},
        "spans": [{**span, "start_timestamp": now - 0.005, "timestamp": now}] * 10,
        "sdk": {"name": "sentry.python.flask", "version": "2.75.0"},
    }


def metrics_of(number: int) -> bytes:
    """Return an envelope of 100 values of six metrics, as an SDK collects them in some seconds."""
    now, chance = datetime.now(UTC).timestamp(), random.Random(number)
    kinds = ("counter", "gauge", "distribution")
    names = {
        "sentry.environment": "production",
        "sentry.release": f"shop@1.4.{number % RELEASES}",
        "sentry.sdk.name": "sentry.python.flask",
        "sentry.sdk.version": "2.75.0",
        "server.address": "web-01",
    }
    attributes = {name: {"value": value, "type": "string"} for name, value in names.items()}
    items = [
        {
            "timestamp": now,
            "trace_id": "c" * 32,
            "name": f"shop.{kinds[one % 3]}.{one % 2}",
            "type": kinds[one % 3],
            "value": round(chance.lognormvariate(4, 1), 3),
            "attributes": attributes,
        }
        for one in range(100)
    ]
    payload = json.dumps({"version": 2, "items": items}).encode()
    kind = "application/vnd.sentry.items.trace-metric+json"
    item = {"type": "trace_metric", "item_count": 100, "content_type": kind, "length": len(payload)}
    return b"\n".join([b"{}", json.dumps(item).encode(), payload, b""])


def session_of(number: int) -> bytes:
    """Return an envelope with the end of a session of one user; one in fifty crashes."""
    now = datetime.now(UTC).isoformat()
    payload = {
        "sid": uuid.uuid4().hex,
        "did": f"c-{number % USERS}",
        "init": True,
        "started": now,
        "timestamp": now,
        "duration": 12.5,
        "status": "exited" if number % 50 else "crashed",
        "errors": 0 if number % 50 else 1,
        "attrs": {"release": f"shop@1.4.{number % 2}", "environment": "production"},
    }
    sdk = {"name": "sentry.javascript.browser", "version": "11.12.0"}
    lines = {"sent_at": now, "sdk": sdk}, {"type": "session"}, payload
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def envelope_of(event: dict[str, Any]) -> bytes:
    """Return the envelope that an SDK would send for an event or a transaction."""
    payload = json.dumps(event).encode()
    headers = {"event_id": event["event_id"], "sent_at": datetime.now(UTC).isoformat()}
    kind = event.get("type", "event")
    item = {"type": kind, "content_type": "application/json", "length": len(payload)}
    return b"\n".join([json.dumps(headers).encode(), json.dumps(item).encode(), payload, b""])


def browser_event_of(bug: int, number: int) -> dict[str, Any]:
    """Return an event of a bug with the cookies and headers of a browser, and library frames."""
    event = event_of(bug, number)
    cookies = {"session": f"{number:032x}", "csrftoken": f"{number:064x}", "_ga": "GA1.2.1.2"}
    event["request"] |= {"cookies": cookies, "env": {"REMOTE_ADDR": f"198.51.100.{number % 250}"}}
    event["request"]["headers"] |= {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Referer": f"http://shop.example/orders/{number}",
        "X-Forwarded-For": f"198.51.100.{number % 250}",
        "Accept-Language": "de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3",
    }
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    for depth, frame in enumerate(frames[:6]):
        path = f"flask/app_{depth}.py"
        library = f"/srv/shop/.venv/lib/python3.11/site-packages/{path}"
        frame |= {"filename": path, "abs_path": library, "module": f"flask.app_{depth}"}
        frame["in_app"] = False
    return event


SHAPES: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "ordinary": event_of,
    "browser": browser_event_of,
}


def envelopes(
    events: int, bugs: int, encoding: str, shape: str = "ordinary"
) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the encoded body of ``events`` events, of ``bugs`` bugs in turn.

    :param encoding: one of ``ENCODE``.
    :param shape: one of ``SHAPES``.
    """
    for number in range(events):
        event = SHAPES[shape](number % bugs, number)
        yield event["event_id"], ENCODE[encoding](envelope_of(event))
