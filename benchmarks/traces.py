"""What a trace of 10,000 spans costs: its page, a part of it, its JSON; and what the walk costs.

The store is filled through the intake and read as the background task does it. The spans are of ten
transactions and two projects, in a tree of up to ten levels, each with a description of its own, so
that the page has as many rows as it may. CPU time is that of this process (application and SQLite;
without PostgreSQL's), the median of several rounds.
"""

from __future__ import annotations

import argparse
import gc
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.intake import Intake
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.search.indexing import catch_up as index
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store import Store
from benchmarks.goals import Figure, printed
from benchmarks.trace_shapes import FIRST_SERVICE, SERVICES, shapes
from config import load_config

SPANS, TRANSACTIONS, ROUNDS = 10_000, 10, 7
TRACE, STOCK = "ab" * 16, 2
MAX_PAGE_MS, MAX_PAGE_KB, MAX_ROWS = 500, 500, 1000
PASSWORD = "correct-horse-battery"  # noqa: S105 -- of a store that is removed
OPS = ("db.sql.query", "http.client", "function", "cache.get", "gen_ai.chat", "template.render")
WORDS = "orders items prices carts users stock payments coupons images reviews".split()


def measure(url: str = "") -> Iterator[Figure]:
    """Measure the walk, the page, a part of it, and the JSON.

    :param url: of an empty PostgreSQL database, used instead of an SQLite file.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        app = _app(Path(folder), url)
        store, client = app.extensions["devenviro.store"], app.test_client()
        began = time.time() - 60
        for number, item in enumerate(_transactions(began)):
            _accept(app, Envelope({}, [item]), 1 + number % 2)
        ms = _cpu_ms(lambda: catch_up(store, SIGNALS))
        yield Figure("walk over an envelope of 1,000 spans, ms of CPU", ms / TRANSACTIONS)
        _log_in(client)
        gc.freeze()  # As gunicorn's workers do, so that the collector passes over the application.
        yield from _pages(client)
        yield from _of_shapes(app, client, began)
        yield from _of_small_ones(app, store, began)
        app.extensions["devenviro.intake"].close()
        store.dispose()


def _pages(client: FlaskClient) -> Iterator[Figure]:
    page, part = f"/admin/traces/{TRACE}", f"/admin/traces/{TRACE}?span={1:016x}"
    for name, path in (("page", page), ("part of the page", part)):
        yield from _page(client, f"{name} of a trace of 10,000 spans", path)
    ms, text = _asked(client, f"/api/traces/{TRACE}")
    yield Figure("JSON of the trace, ms of CPU", ms, MAX_PAGE_MS)
    yield Figure("JSON of the trace, KB", len(text.encode()) / 1000)


def _of_shapes(app: Flask, client: FlaskClient, began: float) -> Iterator[Figure]:
    """Yield what the page of each shape costs."""
    store = app.extensions["devenviro.store"]
    for number in range(SERVICES):
        name = f"Service {number}"
        create_project(store, name, FIRST_SERVICE + number, f"{FIRST_SERVICE + number:032x}")
    for shape in shapes(began):
        for sent in shape.sent:
            _accept(app, sent.envelope, sent.project_id)
        catch_up(store, SIGNALS)
        index(store)
        yield from _page(client, f"page, {shape.name}", f"/admin/traces/{shape.trace_id}")


def _page(client: FlaskClient, name: str, path: str) -> Iterator[Figure]:
    ms, text = _asked(client, path)
    yield Figure(f"{name}, ms of CPU", ms, MAX_PAGE_MS)
    yield Figure(f"{name}, KB of HTML", len(text.encode()) / 1000, MAX_PAGE_KB)
    yield Figure(f"{name}, rows", len(re.findall('<div class="span', text)), MAX_ROWS)


def _of_small_ones(app: Flask, store: Store, began: float) -> Iterator[Figure]:
    """Yield what the walk costs for a transaction with ten spans, in a stream of 500."""
    count = 500
    for number in range(count):
        first = SPANS + number * 11 + 1
        spans = [_span(first + n, first, began, n, n + 5) for n in range(1, 11)]
        item = _transaction(first, None, spans, began, 20, f"{number:032x}")
        _accept(app, Envelope({}, [item]), 1)
    ms = _cpu_ms(lambda: catch_up(store, SIGNALS))
    yield Figure("walk over a transaction of ten spans, ms of CPU", ms / count)


def _asked(client: FlaskClient, path: str) -> tuple[float, str]:
    texts: list[str] = []

    def ask() -> None:
        answer = client.get(path)
        assert answer.status_code == 200, answer.status
        texts.append(answer.text)

    ask()  # Templates are compiled.
    return statistics.median(_cpu_ms(ask) for _ in range(ROUNDS)), texts[-1]


def _cpu_ms(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def _app(folder: Path, url: str) -> Flask:
    config = load_config(
        {},
        ENVIRONMENT="testing",
        DATA_DIR=folder,
        DATABASE_URL=url or f"sqlite:///{folder / 'store.sqlite3'}",
        ADMIN_PASSWORD=PASSWORD,
    )
    app = create_app(config, opens_store=True)
    create_project(app.extensions["devenviro.store"], "Stock", STOCK, "2" * 32)
    return app


def _log_in(client: FlaskClient) -> None:
    page = client.get("/admin/login").text
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found is not None
    form = {"username": "admin", "password": PASSWORD, "csrf_token": found[1]}
    assert client.post("/admin/login", data=form).status_code in (302, 303)


def _accept(app: Flask, envelope: Envelope, project_id: int) -> None:
    intake: Intake = app.extensions["devenviro.intake"]
    intake.accept(envelope, project_id=project_id, timeout_s=30)


def _transactions(began: float) -> Iterator[Item]:
    """Yield the transactions; each but the first is called by a span of the one before."""
    chance, each = random.Random(7), SPANS // TRANSACTIONS
    for number in range(TRANSACTIONS):
        first, start = number * each + 1, number * 40.0
        spans = []
        for inner in range(first + 1, first + each):
            parent = first if chance.random() < 0.1 else chance.randrange(first, inner)
            at = start + (inner - first) * 0.3
            spans.append(_span(inner, parent, began, at, at + chance.random() * 20))
        parent_span = first - each // 2 if number else None
        yield _transaction(first, parent_span, spans, began, start + 320, TRACE, start)


def _span(number: int, parent: int, began: float, start: float, end: float) -> dict[str, Any]:
    # Names made of letters: spans that differ in numbers only would share a row.
    name = "".join(chr(97 + int(digit)) for digit in str(number))
    table = WORDS[number % len(WORDS)]
    return {
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}",
        "start_timestamp": began + start / 1000,
        "timestamp": began + end / 1000,
        "op": OPS[number % len(OPS)],
        "description": f"SELECT id, {name} FROM {table} WHERE {name} = %s AND is_active",
        "status": "ok",
        "data": {"db.system": "postgresql", "thread.id": "1398", "code.lineno": number},
    }


def _transaction(
    number: int,
    parent: int | None,
    spans: list[dict[str, Any]],
    began: float,
    end: float,
    trace_id: str,
    start: float = 0.0,
) -> Item:
    trace = {"trace_id": trace_id, "span_id": f"{number:016x}", "op": "http.server"}
    trace |= {"parent_span_id": f"{parent:016x}"} if parent else {}
    payload = {
        "event_id": f"{number:032x}",
        "transaction": "GET /orders",
        "contexts": {"trace": trace},
        "start_timestamp": began + start / 1000,
        "timestamp": began + end / 1000,
        "spans": spans,
    }
    return Item({"type": "transaction"}, payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="", help="of an empty PostgreSQL database")
    found = list(printed(measure(parser.parse_args().url)))
    sys.exit(not all(figure.is_met for figure in found))
