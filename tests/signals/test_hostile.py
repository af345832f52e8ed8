"""Whatever clients send as spans, lines and check-ins: no error, nothing lost, pages stay small."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.signals.kinds import SIGNALS
from app.signals.tables import unread_envelopes
from app.signals.walk import catch_up
from tests.conftest import parts_of
from tests.monitors.steps import key_of

pytestmark = pytest.mark.one_database

MANY = 2000
# Text of JSON, since Python's own writer has no other way to write these numbers.
RAW = {"@nan": "NaN", "@inf": "-Infinity", "@big": "1e999"}
TIMES = ["@nan", "@inf", "@big", -1, 0, 1e-300, 253402300799.0, 1e11, 10**40, "x", None, [], True]
TIMES += ["9999-12-31T23:59:59.999999-12:00", "0001-01-01T00:00:00+14:00", 1795457965.0]
IDS = ["ab" * 16, "a" * 16, "0" * 32, "AB" * 16, "", None, 7, [], {}, "g" * 32, "é" * 16, "\0" * 16]


def envelope(*items: tuple[str, Any]) -> bytes:
    lines = [b"{}"]
    for kind, payload in items:
        text = json.dumps(payload)
        for name, raw in RAW.items():
            text = text.replace(f'"{name}"', raw)
        lines += [json.dumps({"type": kind, "length": len(text)}).encode(), text.encode()]
    return b"\n".join(lines)


def span(number: int, parent: int | None, trace: str, **others: Any) -> dict[str, Any]:
    return {
        "trace_id": trace,
        "span_id": f"{number:016x}",
        "parent_span_id": None if parent is None else f"{parent:016x}",
        "name": f"span {'abcdefghij'[number % 10]}",
        "start_timestamp": 1795457965 + number / 1e5,
        "end_timestamp": 1795457966 + number / 1e5,
    } | others


def spans(parents: Callable[[int], int | None], trace: str, **others: Any) -> bytes:
    items = [span(n, parents(n), trace, **others) for n in range(1, MANY + 1)]
    return envelope(("span", {"items": items}))


def shown(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text[:300])
    return str(answer.text)


@pytest.fixture
def send(app: Flask, client: FlaskClient) -> Callable[[bytes], None]:
    def post(body: bytes) -> None:
        answer = client.post(f"/api/1/envelope/?sentry_key={key_of(app)}", data=body)
        assert answer.status_code == 200, answer.json
        catch_up(parts_of(app).store, SIGNALS)
        with parts_of(app).store.read() as conn:
            failed = select(unread_envelopes).where(~unread_envelopes.c.is_partly_read)
            assert conn.execute(failed).all() == []

    return post


# The parent of each span by its number, and how many spans there are.
SHAPES: dict[str, tuple[Callable[[int], int | None], int]] = {
    "each below the one before": (lambda n: n - 1 or None, MANY),
    "each below the one after": (lambda n: n + 1, MANY),
    "one circle": (lambda n: n % MANY + 1, MANY),
    "circles of two": (lambda n: n - 1 + n % 2 * 2, MANY),
    "its own parent": (lambda n: n, MANY),
    "parents that are not there": (lambda n: n + 10 * MANY, MANY),
    "all below the first": (lambda n: None if n == 1 else 1, MANY),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_span_is_kept_whatever_its_parent_and_the_page_stays_small(
    app: Flask, admin_client: FlaskClient, send: Callable[[bytes], None], shape: str
) -> None:
    parent, count = SHAPES[shape]
    trace = "ab" * 16
    send(spans(parent, trace))
    send(spans(parent, trace))  # The same again.
    found = json.loads(shown(admin_client, f"/api/traces/{trace}"))
    assert len(found["spans"]) == count and not found["has_more_spans"]
    page = shown(admin_client, f"/admin/traces/{trace}")
    assert f"<dt>Spans</dt><dd>{count:,}</dd>" in page
    assert page.count('class="span') < 1000 and len(page) < 500_000
    shown(admin_client, f"/admin/traces/{trace}?span={MANY:016x}")


def test_values_of_every_wrong_kind_are_kept_and_shown(
    admin_client: FlaskClient, send: Callable[[bytes], None]
) -> None:
    trace = "cd" * 16
    times = [
        span(n, 1, trace, start_timestamp=start, end_timestamp=end)
        for n, (start, end) in enumerate(product(TIMES, TIMES), 1)
    ]
    ids = [
        span(1, None, trace, trace_id=one, span_id=other, parent_span_id=one, is_segment=True)
        for one, other in product(IDS, IDS)
    ]
    lines = [
        {"body": f"line {at}", "timestamp": at, "trace_id": one, "span_id": one, "level": one}
        for at, one in product(TIMES, IDS)
    ]
    runs = [
        {
            "monitor_slug": f"job-{n % 5}",
            "status": "ok",
            "check_in_id": IDS[n % len(IDS)],
            "environment": IDS[n % 7],
            "duration": at,
            "monitor_config": {
                "schedule": {"type": "interval", "value": at, "unit": "minute"},
                "checkin_margin": at,
                "max_runtime": at,
            },
        }
        for n, at in enumerate(TIMES)
    ]
    send(envelope(("span", {"items": times}), ("span", {"items": ids}), ("log", {"items": lines})))
    send(envelope(*(("check_in", run) for run in runs)))
    found = json.loads(shown(admin_client, f"/api/traces/{trace}"))
    assert len(found["spans"]) == len(times)
    shown(admin_client, f"/admin/traces/{trace}")
    bodies = []
    cursor = ""
    while True:
        page = json.loads(shown(admin_client, f"/api/logs?limit=90{cursor}"))
        bodies += [line["body"] for line in page["logs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len(bodies) == len(lines)
    slugs = {one["slug"] for one in json.loads(shown(admin_client, "/api/monitors"))["monitors"]}
    assert slugs == {f"job-{n}" for n in range(5)}
    for path in (
        *("/api/transactions?sort=slowest", "/api/transactions?sort=newest", "/admin/performance"),
        *("/admin/logs?period=all", "/admin/monitors", "/admin/monitors/1/job-1"),
        *("/admin/deliveries/1", "/admin/deliveries/2", "/api/deliveries/1"),
    ):
        shown(admin_client, path)


def test_envelope_with_too_many_items_is_refused_as_a_whole(
    app: Flask, client: FlaskClient
) -> None:
    body = envelope(*(("check_in", {"monitor_slug": "a", "status": "ok"}) for _ in range(10_000)))
    answer = client.post(f"/api/1/envelope/?sentry_key={key_of(app)}", data=body)
    assert answer.status_code == 413
    assert client.get("/api/deliveries").json["deliveries"] == []
