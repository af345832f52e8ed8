"""The tools that read monitors, traces and logs: what they answer, and what stays in its fence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from app.protocol.envelope import Envelope, Item
from app.search.indexing import catch_up as make_searchable
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from tests.conftest import parts_of
from tests.mcp.steps import apart, bearer, call
from tests.mcp.test_untrusted import HOSTILE, MARK
from tests.monitors.steps import CONFIG, check_in, send

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TRACE, ROOT = "ab" * 16, "1" * 16


def store(app: Flask, *items: Item) -> None:
    """Store an envelope of a program and do what the background tasks do."""
    parts_of(app).intake.accept(Envelope({}, list(items)), project_id=1, timeout_s=5)
    catch_up(parts_of(app).store, SIGNALS)
    make_searchable(parts_of(app).store)


def transaction(*spans: dict[str, Any], name: str = "/checkout") -> Item:
    """Return a transaction of two seconds with spans."""
    began = NOW.timestamp()
    return Item(
        {"type": "transaction"},
        {
            "type": "transaction",
            "transaction": name,
            "contexts": {"trace": {"trace_id": TRACE, "span_id": ROOT, "op": "http.server"}},
            "start_timestamp": began,
            "timestamp": began + 2,
            "spans": [span | {"trace_id": TRACE, "parent_span_id": ROOT} for span in spans],
        },
    )


def span(number: int, op: str, description: str, after: float, seconds: float) -> dict[str, Any]:
    began = NOW.timestamp() + after
    return {
        "span_id": f"{number:016x}",
        "op": op,
        "description": description,
        "start_timestamp": began,
        "timestamp": began + seconds,
    }


def log(body: str, **attributes: str) -> Item:
    line = {"timestamp": NOW.timestamp(), "level": "error", "body": body, "trace_id": TRACE}
    values = {name: {"value": text, "type": "string"} for name, text in attributes.items()}
    return Item({"type": "log"}, {"items": [line | {"attributes": values}]})


def test_monitors_are_listed_and_one_is_read_with_its_runs(app: Flask) -> None:
    agent = bearer(app)
    with time_machine.travel(NOW, tick=False) as clock:
        send(app, check_in("Nightly!", monitor_config=CONFIG, duration=75))
        clock.shift(timedelta(hours=1))
        failed = {"check_in_id": "c" * 32, "contexts": {"trace": {"trace_id": TRACE}}}
        send(app, check_in("nightly", "error", **failed), check_in("other"))
        listed = call(app, agent, "list_monitors").text
        page = call(app, agent, "list_monitors", limit=1).text
        one = call(app, agent, "get_monitor", slug="NIGHTLY", project_id=1, limit=1)
        rest = call(app, agent, "get_monitor", slug="nightly", project_id=1, cursor="2").text
    outside, within = apart(listed)
    assert outside[0] == "2 monitors on this page."
    expected = "Monitor in project 1: error, last check-in 2026-11-25T13:00:00Z, next run expected"
    assert outside[1] == f"{expected} 2026-11-26T01:00:00Z"
    assert "schedule: 0 2 * * * (Europe/Berlin)" in within
    assert "The next page has the cursor 1" in page and "other" not in page
    assert f"2026-11-25T13:00:00Z: error, trace {TRACE}" in one.text
    assert "The next page has the cursor 2" in one.text and "/admin/monitors/1/nightly" in one.text
    assert "2026-11-25T11:58:45Z: ok, took 75.000 s" in rest and "error, trace" not in rest
    unnamed = call(app, agent, "get_monitor", slug="nightly")
    assert unnamed.is_error and unnamed.text.startswith("project_id: ")
    unknown = call(app, agent, "get_monitor", slug="nothing", project_id=1)
    assert unknown.is_error and "no monitor with this slug" in unknown.text


def test_trace_is_a_tree_in_which_spans_alike_share_a_line(app: Flask) -> None:
    agent = bearer(app)
    queries = [span(n, "db", f"SELECT {n} FROM t", n / 100, 0.01) for n in range(2, 32)]
    store(app, transaction(*queries, span(99, "http.client", "GET /stock", 0.5, 1.4)))
    outside, within = apart(call(app, agent, "get_trace", trace_id=TRACE.upper()).text)
    assert outside[0] == f"Trace {TRACE}: 32 spans; 0 errors"
    top, first, second = within
    assert top.startswith("* http.server /checkout: +0 ms, 2000.0 ms")
    assert " × 30: +20 ms, 300.0 ms (self 300.0 ms)" in first
    assert second.startswith("  * http.client GET /stock: +500 ms, 1400.0 ms")
    opened = call(app, agent, "get_trace", trace_id=TRACE, span_id=f"{99:016x}").text
    assert "GET /stock" in opened and "SELECT" not in opened
    for wrong in ({"trace_id": "7"}, {"trace_id": TRACE, "span_id": "f" * 16}):
        assert call(app, agent, "get_trace", **wrong).is_error


def test_trace_with_a_wrong_clock_is_told_by_the_others(app: Flask) -> None:
    wrong = span(2, "db", "SELECT 1", -4e8, 1)
    store(app, transaction(wrong, span(3, "db", "COMMIT", 0.5, 1)))
    outside, within = apart(call(app, bearer(app), "get_trace", trace_id=TRACE).text)
    assert within[0].startswith("* http.server /checkout: +0 ms")
    assert "SELECT 1: ? ms, 1000.0 ms" in within[1] and "COMMIT: +500 ms" in within[2]
    assert any(line.startswith("1 span with ? ms") for line in outside)


def test_logs_are_found_by_query_and_by_trace(app: Flask) -> None:
    agent = bearer(app)
    store(app, log("payment failed", order="1842"), log("payment done", order="7"))
    for given in ({"query": "order:1842"}, {"query": "failed"}):
        outside, within = apart(call(app, agent, "search_logs", period="all", **given).text)
        assert outside[0] == "1 line on this page." and "body: payment failed" in within
    assert f"error in project 1, trace {TRACE}" in outside[1]
    found, cursor = [], {}
    for _ in range(2):
        text = call(app, agent, "search_logs", period="all", trace=TRACE, limit=1, **cursor).text
        found += [line for line in apart(text)[1] if line.startswith("body: ")]
        cursor = {"cursor": text.partition("has the cursor ")[2].partition("\n")[0]}
    assert sorted(found) == ["body: payment done", "body: payment failed"]
    wrong = call(app, agent, "search_logs", query="is:unresolved")
    assert wrong.is_error and wrong.text.startswith("query: ")


@pytest.mark.one_database
def test_hostile_texts_of_jobs_spans_and_lines_stay_inside(app: Flask) -> None:
    agent = bearer(app)
    for number, text in enumerate(HOSTILE.values()):
        config = {"schedule": {"type": "crontab", "value": text}, "timezone": text}
        send(
            app,
            check_in(f"job-{number}", environment=text, release=text, monitor_config=config),
            check_in(f"job-{number}", environment="live"),
        )
        store(
            app,
            transaction(span(7, text[:90], text, 0, 1), name=text),
            log(text, **{text[:60]: text}),
        )
        answers = {
            "list_monitors": {"limit": 50},
            "get_monitor": {"slug": f"job-{number}", "project_id": 1},
            "get_trace": {"trace_id": TRACE},
            "search_logs": {"period": "all", "trace": TRACE, "limit": 2},
        }
        for name, arguments in answers.items():
            answer = call(app, agent, name, **arguments)
            outside, within = apart(answer.text)
            assert not answer.is_error and MARK not in "\n".join(outside), (name, text)
        assert MARK in "".join(within), text
