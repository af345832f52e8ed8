"""Compares pages and API with the known stream that an SDK sent to a running service."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from html import unescape
from typing import Any
from urllib.parse import urlencode

from tests.clients.conftest import Program
from tests.clients.known_stream import CHECK_INS, LEVELS, TRACES, Record, all_lines, lines_of, walk
from tests.person import Person
from tests.server_process import http, wait_for

Line = tuple[str, str, dict[str, Any]]


def _words(one: Record) -> list[str]:
    texts = [one["body"], *(str(value) for value in one["attributes"].values())]
    return re.findall(r"\w+", " ".join(texts).lower())


def _has(name: str, *values: object) -> Callable[[Record], bool]:
    """Return a condition: a line has the attribute, with one of the values if there are any."""
    return lambda one: (
        name in one["attributes"] and (not values or one["attributes"][name] in values)
    )


# Queries, and which lines of the list they must find.
QUERIES: dict[str, Callable[[Record], bool]] = {
    "declined": lambda one: "declined" in _words(one),
    "decl*": lambda one: any(word.startswith("decl") for word in _words(one)),
    '"payment declined"': lambda one: "payment declined" in one["body"],
    "größe": lambda one: "Größe" in one["body"],
    "stuck": lambda one: "stuck" in one["body"],
    "a2": lambda one: "a2" in _words(one),
    "message:counted": lambda one: "counted" in one["body"],
    "shop.shelf:a1": _has("shop.shelf", "a1"),
    "shop.order:[7,8,-7]": _has("shop.order", 7, 8, -7),
    "shop.price:17.5": _has("shop.price", 17.5),
    "shop.gift:true": _has("shop.gift", True),
    "has:shop.gift": _has("shop.gift"),
    "!shop.shelf:a1": lambda one: not _has("shop.shelf", "a1")(one),
    "level:[error,fatal]": lambda one: LEVELS[one["level"]] in {"error", "fatal"},
    "level:warning declined": lambda one: one["level"] == "warn" and "declined" in one["body"],
    "shop.shelf:a1 shop.order:17": lambda one: (
        _has("shop.shelf", "a1")(one) and _has("shop.order", 17)(one)
    ),
    "release:shop@1.2.3 environment:staging": lambda one: True,
    "environment:production": lambda one: False,
}  # fmt: skip


def assert_everything_is_found(
    program: Program, person: Person, played: Record, *, is_streamed: bool, has_check_ins: bool
) -> None:
    """Assert that pages and API have what was sent, and nothing else.

    :param played: what the program printed: the ids that its SDK chose for each trace.
    """
    traces = list(zip(TRACES, played["traces"], strict=True))
    _wait_until_read(program, traces)
    assert_lines(program, person, traces)
    for trace, ids in traces:
        assert_trace(program, person, trace, ids, is_streamed)
    assert_transactions(program, person, traces)
    assert_monitors(program, person, CHECK_INS if has_check_ins else [])
    kinds = {"event", "span" if is_streamed else "transaction"}
    # Envelopes of logs are removed when their lines are rows.
    assert program.kinds() - {"session", "log"} == kinds | {
        "check_in" for _ in CHECK_INS[:has_check_ins]
    }
    assert program.other_statuses() == set()


def _wait_until_read(program: Program, traces: list[tuple[Record, Record]]) -> None:
    """Wait for the background tasks that read envelopes: rows of signals, the search of events."""
    newest = traces[-1][1]["trace_id"]
    path = f"/api/transactions?project_id={program.id}"
    wait_for(lambda: len(_listed(program, path, "transactions")) == len(traces))
    wait_for(lambda: len(_lines(program)) == len(all_lines()))
    wait_for(lambda: "spans" in program.server.get(f"/api/traces/{newest}"))
    for one, ids in traces:
        errors = sum("error" in span for span, _ in walk(one))
        events = f"/api/traces/{ids['trace_id']}"
        wait_for(lambda: len(program.server.get(events)["events"]) == errors)  # noqa: B023


def assert_lines(program: Program, person: Person, traces: list[tuple[Record, Record]]) -> None:
    """Assert the list of lines by each way to it: pages of it, filters, export, the page."""
    newest_first = [_as_sent(one) for one in reversed(all_lines())]
    assert [_as_found(one) for one in _lines(program, limit=7)] == newest_first
    assert {(one["release"], one["environment"]) for one in _lines(program)} == {
        ("shop@1.2.3", "staging")
    }
    for level in set(LEVELS.values()):
        sent = [one for one in newest_first if one[0] == level]
        assert [_as_found(one) for one in _lines(program, level=level)] == sent, level
    for trace, ids in traces:
        found = _lines(program, trace=ids["trace_id"])
        assert _counted(map(_as_found, found)) == _counted(map(_as_sent, lines_of(trace)))
        in_spans = {
            line["body"]: sent["span_id"]
            for (span, _), sent in zip(walk(trace), ids["spans"], strict=True)
            for line in span.get("logs", [])
        }
        assert {one["body"]: one["span_id"] for one in found} == in_spans
    for query, is_meant in QUERIES.items():
        sent = [_as_sent(one) for one in reversed(all_lines()) if is_meant(one)]
        assert [_as_found(one) for one in _lines(program, query=query)] == sent, query
        values = {"project": program.id, "query": query, "period": "all"}
        page = person.get(f"/admin/logs?{urlencode(values)}")
        shown = re.findall(r'<span class="log-body">(.*?)</span>', page, re.DOTALL)
        assert [unescape(body) for body in shown] == [body for _, body, _ in sent], query
    assert [_as_found(one) for one in _exported(program)] == newest_first
    path = f"/api/logs/series?project_id={program.id}&period=hour"
    points = program.server.get(path)["points"]
    counted = {level: sum(point[level] for point in points) for level in set(LEVELS.values())}
    assert counted == Counter(level for level, _, _ in newest_first)


def assert_trace(
    program: Program, person: Person, trace: Record, ids: Record, is_streamed: bool
) -> None:
    """Assert a trace by API, on its page, and on the pages of its errors."""
    found = program.server.get(f"/api/traces/{ids['trace_id']}")
    spans = list(walk(trace))
    id_of = {id(one): sent["span_id"] for (one, _), sent in zip(spans, ids["spans"], strict=True)}
    assert len(found["transactions"]) == 1
    assert len(found["spans"]) == len(spans) - (0 if is_streamed else 1)
    by_id = {one["span_id"]: one for one in [*found["transactions"], *found["spans"]]}
    assert set(by_id) == set(id_of.values())
    for one, parent in spans:
        shown = by_id[id_of[id(one)]]
        assert shown.get("description") or shown["name"] == one["name"]
        assert shown["op"] == one["op"] and abs(shown["duration_ms"] - one["ms"]) < 0.01
        assert shown["parent_span_id"] == (id_of[id(parent)] if parent else None)
        assert (shown["status"] in {"internal_error", "error"}) == bool(one.get("failed"))
    with_errors = [id_of[id(one)] for one, _ in spans if "error" in one]
    errors = {one["event_id"]: one["span_id"] for one in found["events"]}
    assert errors == dict(zip(ids["errors"], with_errors, strict=True))
    assert_page_of_trace(person, trace, ids)
    for event_id in ids["errors"]:
        page = person.get(f"/admin/events/{event_id}")
        beside = re.findall(r'<span class="log-body">(.*?)</span>', page, re.DOTALL)
        if lines_of(trace):  # Otherwise those of the minute before stand there.
            assert Counter(beside) == Counter(one["body"] for one in lines_of(trace))
        assert f'href="/admin/traces/{ids["trace_id"]}"' in page


def assert_page_of_trace(person: Person, trace: Record, ids: Record) -> None:
    """Assert the waterfall: a row for each span, one for all that differ in numbers alone."""
    page = person.get(f"/admin/traces/{ids['trace_id']}")
    rows = [_text(row) for row in re.findall(r'<div class="span.*?</div>', page, re.DOTALL)]
    spans = [one for one, _ in walk(trace)]
    alike = Counter(re.sub(r"\d+", "?", one["name"]) for one in spans)
    groups = {name: count for name, count in alike.items() if count > 1}
    assert len(rows) == len(spans) + len(groups)
    for name, count in groups.items():
        assert len([row for row in rows if f"{name} × {count}" in row]) == 1
    for one in spans:
        (row,) = [
            row for row in rows if re.search(rf"{re.escape(one['op'] + ' ' + one['name'])}\b", row)
        ]
        lines = len(one.get("logs", []))
        assert bool(re.search(rf"\b{lines} log lines?\b", row)) == bool(lines), row
        assert ("▲" in row) == ("error" in one) and one.get("error", "") in row
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", page))
    counted = {
        "Spans": len(spans),
        "Failed": sum(bool(one.get("failed")) for one in spans),
        "Errors": len(ids["errors"]),
        "Services": 1,
    }
    if lines_of(trace):
        counted["Log lines"] = len(lines_of(trace))
    assert {name: int(_text(figures[name])) for name in counted} == counted


def assert_transactions(
    program: Program, person: Person, traces: list[tuple[Record, Record]]
) -> None:
    """Assert the lists of transactions: all, those of a name, the slowest and the failing."""
    sent = [(one["name"], one["ms"], ids["trace_id"], bool(one.get("failed")))
            for one, ids in traces]  # fmt: skip

    def listed(**values: Any) -> list[tuple[str, str]]:
        path = f"/api/transactions?{urlencode({'project_id': program.id, 'limit': 2, **values})}"
        return [(one["name"], one["trace_id"]) for one in _listed(program, path, "transactions")]

    assert sorted(listed()) == sorted((name, trace) for name, _, trace, _ in sent)
    for name in {name for name, *_ in sent}:
        slowest = sorted((one for one in sent if one[0] == name), key=lambda one: -one[1])
        assert listed(name=name, sort="slowest") == [(name, one[2]) for one in slowest]
        failing = [(name, trace) for _, _, trace, failed in slowest if failed]
        assert listed(name=name, sort="failing") == failing
        values = {"project": program.id, "transaction": name, "period": "all"}
        page = person.get(f"/admin/performance?{urlencode(values)}")
        assert set(re.findall(r"/admin/traces/([0-9a-f]{32})", page)) == {one[2] for one in slowest}
        assert _text(page).count(f"Requests {len(slowest)} ") == 1


def assert_monitors(program: Program, person: Person, sent: list[Record]) -> None:
    """Assert the monitors, what they expect, and each run."""
    found = _listed(program, f"/api/monitors?project_id={program.id}&limit=2", "monitors")
    assert [one["slug"] for one in found] == [one["slug"] for one in sent]
    page = _text(person.get(f"/admin/monitors?project={program.id}"))
    for one, monitor in zip(sent, found, strict=True):
        expected = one.get("config", {})
        schedule = monitor["schedule"]
        assert (schedule and {k: v for k, v in schedule.items() if v}) == expected.get("schedule")
        assert monitor["timezone"] == expected.get("timezone", "UTC")
        last = one["runs"][-1]["states"][-1]
        assert last == "in_progress" or monitor["status"] == last
        path = f"/api/monitors/{one['slug']}/checkins?project_id={program.id}&limit=1"
        runs = [(run["status"], run["duration_ms"]) for run in _listed(program, path, "checkins")]
        said = [(run["states"][-1], run["seconds"] * 1000 if "seconds" in run else None)
                for run in reversed(one["runs"])]  # fmt: skip
        assert runs == said, one["slug"]
        assert one["slug"] in page
        own = person.get(f"/admin/monitors/{program.id}/{one['slug']}")
        assert len(re.findall(r'<td><span class="state"', own)) == len(said)


def _lines(program: Program, **values: Any) -> list[Record]:
    path = f"/api/logs?{urlencode({'project_id': program.id, 'limit': 50, **values})}"
    return _listed(program, path, "logs")


def _listed(program: Program, path: str, name: str) -> list[Record]:
    """Return all entries of a list, page by page."""
    found: list[Record] = []
    cursor = ""
    while True:
        answer = program.server.get(path + (cursor and f"&{urlencode({'cursor': cursor})}"))
        assert name in answer, answer
        found += answer[name]
        if not (cursor := answer["next"]):
            return found


def _exported(program: Program) -> list[Record]:
    url = f"{program.server.url}/api/logs/export?project_id={program.id}"
    return [json.loads(one) for one in http.request("GET", url).data.splitlines()]


def _as_sent(one: Record) -> Line:
    return LEVELS[one["level"]], one["body"], one["attributes"]


def _as_found(one: Record) -> Line:
    own = {name: value for name, value in one["attributes"].items() if name.startswith("shop.")}
    return one["level"], one["body"], own


def _counted(lines: Iterable[Line]) -> Counter[str]:
    return Counter(json.dumps(one, sort_keys=True) for one in lines)


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
