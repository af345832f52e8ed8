"""A fixed list of what each SDK is told to send, and so of what pages and API must have.

The programs of all SDKs read it as JSON. It uses nothing of the application.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]

# As SDKs name them, with the level of this service.
LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
    "fatal": "fatal",
}


def line(level: str, body: str, **attributes: str | int | float | bool) -> Record:
    """Return a line of a log; ``__`` in a name is a dot."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return {"level": level, "body": body, "attributes": named}


def span(op: str, name: str, ms: int, *spans: Record, **facts: Any) -> Record:
    """Return a span with those below it.

    :param facts: ``failed``; ``error``, the message of an error in it; ``logs``, its lines.
    """
    return {"op": op, "name": name, "ms": ms, "spans": list(spans)} | facts


# Outside of all traces.
TILLS = [
    line(
        level,
        f"till {number} counted" if number % 3 else f"payment declined at till {number}",
        shop__shelf=f"a{number % 4}",
        shop__order=number,
        shop__price=number + 0.5,
        **({"shop__gift": number % 2 == 0} if number < 40 else {}),
    )
    for number in range(60)
    for level in [list(LEVELS)[number % len(LEVELS)]]
]
ODD = [
    line("info", 'Größe "XL" <b>✓</b> 100 %', shop__note="a <b>b</b> & 'c'"),
    line("warn", "the drawer\nis stuck", shop__empty_drawer=True, shop__order=-7),
]

TRACES = [
    span(
        "task",
        "checkout",
        400,
        *[span("db.query", f"SELECT price FROM books WHERE id = {n}", 2) for n in range(9)],
        span(
            "http.client",
            "POST /pay",
            150,
            span("ai.chat", "chat fraud-check", 90, logs=[line("debug", "score 3 of 10")]),
            span(
                "function",
                "charge the card",
                40,
                failed=True,
                error="card of order 17 was refused",
                logs=[
                    line("warn", "card refused once", shop__order=17),
                    line("error", "card refused twice", shop__order=17, shop__shelf="a1"),
                ],
            ),
        ),
        logs=[line("info", "checkout of order 17", shop__order=17)],
    ),
    span("task", "restock", 20, logs=[line("info", "restocked shelf a1", shop__shelf="a1")]),
    span("task", "restock", 90, failed=True, error="no truck came"),
    span("task", "restock", 50, span("db", "UPDATE shelves", 30)),
]

# In this order. A run with several states sends a check-in for each.
CHECK_INS = [
    {
        "slug": "till-count",
        "config": {"schedule": {"type": "crontab", "value": "0 3 * * *"}, "timezone": "Asia/Tokyo"},
        "runs": [{"states": ["in_progress", "ok"], "seconds": 1.5}, {"states": ["error"]}],
    },
    {
        "slug": "stock-sync",
        "config": {"schedule": {"type": "interval", "value": 10, "unit": "minute"}},
        "runs": [
            {"states": ["in_progress", "error"], "seconds": 0.25},
            {"states": ["in_progress", "ok"], "seconds": 3},
        ],
    },
    {"slug": "backup", "runs": [{"states": ["in_progress"]}]},
]

LINES_OUTSIDE = [*TILLS, *ODD]
STREAM = {"lines": LINES_OUTSIDE, "traces": TRACES, "check_ins": CHECK_INS}


def walk(one: Record, parent: Record | None = None) -> Iterator[tuple[Record, Record | None]]:
    """Yield a span and all below it, each with its parent."""
    yield one, parent
    for child in one["spans"]:
        yield from walk(child, one)


def lines_of(trace: Record) -> list[Record]:
    """Return the lines of a trace in the order in which they are written: parents first."""
    return [one for span, _ in walk(trace) for one in span.get("logs", [])]


def all_lines() -> list[Record]:
    """Return all lines in the order in which they are written."""
    return LINES_OUTSIDE + [one for trace in TRACES for one in lines_of(trace)]
