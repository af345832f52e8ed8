"""Traces of 10,000 spans in several shapes, for the measurement of their pages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope, Item

SPANS, SERVICES = 10_000, 100
FIRST_SERVICE = 10
TABLES = "orders items prices carts users stock payments coupons images reviews".split()
PROMPT = "Which of these books would a reader of crime novels from Norway like? " * 12


class Sent(NamedTuple):
    """An envelope and the project that it is of."""

    project_id: int
    envelope: Envelope


class Shape(NamedTuple):
    """A trace."""

    name: str
    trace_id: str
    sent: list[Sent]


def shapes(began: float) -> Iterator[Shape]:
    """Yield the traces; what they have in common is the number of their spans."""
    flat = [_span(n, 1, began, f"SELECT {_name(n)} FROM {_of(TABLES, n)}") for n in _numbers()]
    yield _shape("flat, all different", "f1" * 16, flat, began)
    deep = [_span(n, n - 1, began, f"call {_name(n)}") for n in _numbers()]
    yield _shape("a chain", "f2" * 16, deep, began)
    yield Shape("100 services", "f3" * 16, list(_services(began)))
    yield _shape("AI and database", "f4" * 16, list(_mixed(began)), began)
    failed = [
        _span(n, 1 + n // 10, began, f"work {_name(n)}", "internal_error") for n in _numbers()
    ]
    errors = [Sent(1, _error("f5" * 16, 7 * n + 2)) for n in range(1, 101)]
    found = _shape("all failed, 100 errors", "f5" * 16, failed, began)
    yield found._replace(sent=found.sent + errors)


def _numbers() -> range:
    return range(2, SPANS + 1)


def _shape(name: str, trace_id: str, spans: list[dict[str, Any]], began: float) -> Shape:
    return Shape(name, trace_id, [Sent(1, _transaction(trace_id, 1, None, spans, began))])


def _services(began: float) -> Iterator[Sent]:
    """Yield a transaction of each service; each but the first is called by the one before."""
    each = SPANS // SERVICES
    for number in range(SERVICES):
        first = number * each + 1
        spans = [
            _span(n, first + (n - first) // 3, began, f"GET /{_name(n)}")
            for n in range(first + 1, first + each)
        ]
        parent = first - each // 2 if number else None
        yield Sent(FIRST_SERVICE + number, _transaction("f3" * 16, first, parent, spans, began))


def _mixed(began: float) -> Iterator[dict[str, Any]]:
    """Yield 100 agents, each with calls of a model, and queries that differ in numbers."""
    chance, agent = random.Random(3), 1
    for n in _numbers():
        if n % 100 == 2:
            agent = n
            yield _span(n, 1, began, f"invoke_agent {_name(n)}", op="gen_ai.invoke_agent")
        elif n % 3:
            text = f"SELECT id, name FROM {_of(TABLES, n)} WHERE id = {chance.randrange(9**9)}"
            yield _span(n, agent, began, text, op="db.sql.query")
        else:
            data = {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "mixtral",
                "gen_ai.usage.total_tokens": n,
                "gen_ai.request.messages": PROMPT,
            }
            yield _span(n, agent, began, f"chat {_of(TABLES, n)}", op="gen_ai.chat") | {
                "data": data
            }


def _span(
    number: int,
    parent: int,
    began: float,
    description: str,
    status: str = "ok",
    op: str = "function",
) -> dict[str, Any]:
    start = began + number * 0.0003
    return {
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}",
        "start_timestamp": start,
        "timestamp": start + 0.02 + (SPANS - number) * 0.0003,
        "op": op,
        "description": description,
        "status": status,
    }


def _transaction(
    trace_id: str, number: int, parent: int | None, spans: list[dict[str, Any]], began: float
) -> Envelope:
    trace = {"trace_id": trace_id, "span_id": f"{number:016x}", "op": "http.server"}
    trace |= {"parent_span_id": f"{parent:016x}"} if parent else {}
    payload = {
        "transaction": "GET /orders",
        "contexts": {"trace": trace},
        "start_timestamp": began + number * 0.0003,
        "timestamp": began + 4,
        "spans": spans,
    }
    return Envelope({}, [Item({"type": "transaction"}, payload)])


def _error(trace_id: str, span: int) -> Envelope:
    trace = {"trace_id": trace_id, "span_id": f"{span:016x}"}
    payload = {"message": f"no stock for {_name(span)}", "contexts": {"trace": trace}}
    return Envelope({}, [Item({"type": "event"}, payload)])


def _name(number: int) -> str:
    """Return a number in letters: spans that differ in numbers only would share a row."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


def _of(words: list[str], number: int) -> str:
    return words[number % len(words)]
