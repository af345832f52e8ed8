"""What logs cost: a line that arrives in a batch of 100, and searches among a million lines.

Lines are as sentry-sdk sends them. The store is filled by the writer of signals, without envelopes.
CPU time is that of this process (the search and SQLite), the best of several rounds.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from app import create_app
from app.projects.tables import project_keys
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.signals.kinds import SIGNALS
from app.signals.logs.filtering import LogFilter
from app.signals.logs.line import Line
from app.signals.logs.signal import write_lines
from app.signals.walk import catch_up
from app.store import Store, utc_now
from app.store.size import size_bytes
from benchmarks.goals import Figure, printed
from config import load_config

LINES = 1_000_000
BATCHES = 20
BATCH = 100
ROUNDS = 5
MAX_US, MAX_ROWS_US, MAX_SEARCH_MS = 200.0, 80.0, 150.0
# Of a line of the store: order ids are unique, a user has one of 1,000 lines, "payment declined"
# is in one of 500, "needle" in one of the oldest thousand, and "nowhere" in none.
QUERIES = {
    "word of all lines": "order",
    "word of 1 of 1,000 lines": "user_77",
    "word of one old line": "needle",
    "word of no line": "nowhere",
    "phrase": '"payment declined"',
    "phrase of no line": '"declined order"',
    "beginning": "decl*",
    "beginning of an id": "11111*",
    "attribute": "user.id:user_77",
    "attribute of one line": "order.id:12345",
    "word and attribute": "declined user.id:user_77",
    "level": "level:fatal",
    "two that never meet": "level:fatal declined",
    "all but": "!order",
    "comparison": "code.line.number:>45",
    "comparison of no line": "sentry.message.parameter.ms:>9998",
}
TEXTS = (
    "order {order} paid in {ms} ms by {user}",
    "order {order} is in the cart of {user}",
    "GET /api/orders/{order} 200 {ms} ms",
    "cache miss for order {order}",
)


def measure(url: str = "", lines: int = LINES) -> Iterator[Figure]:
    """Measure what lines cost.

    :param url: of an empty PostgreSQL database, used instead of an SQLite file.
    :param lines: how many lines the store has for the searches.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-logs-"))
    try:
        yield from _arriving(folder)
        yield from _searching(folder, url, lines)
    finally:
        shutil.rmtree(folder)


def _arriving(folder: Path) -> Iterator[Figure]:
    config = load_config({}, ENVIRONMENT="testing", DATA_DIR=folder, ADMIN_PASSWORD="a" * 16)
    app = create_app(config)
    store: Store = app.extensions["devenviro.store"]
    client, random_ = app.test_client(), random.Random(1)
    bodies = [_body([_line(random_, utc_now(), n) for n in range(BATCH)]) for _ in range(BATCHES)]
    address = f"/api/1/envelope/?sentry_key={_key_of(store)}"
    whole, read = float("inf"), float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for body in bodies:
            assert client.post(address, data=body).status_code == 200  # noqa: S101 -- of a bench
        stored = time.process_time()
        catch_up(store, SIGNALS)
        ended = time.process_time()
        whole, read = min(whole, ended - began), min(read, ended - stored)
    count = BATCH * BATCHES
    yield Figure("a line in a batch of 100, in all, us of CPU", whole / count * 1e6, MAX_US)
    yield Figure("- reading, row and index", read / count * 1e6, MAX_ROWS_US)
    store.dispose()


def _searching(folder: Path, url: str, lines: int) -> Iterator[Figure]:
    store = Store(url or f"sqlite:///{folder / 'filled.sqlite3'}")
    store.open()
    before, began = size_bytes(store), time.process_time()
    _fill(store, lines)
    if store.is_sqlite:
        store.maintain("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        store.maintain("VACUUM ANALYZE")
    yield Figure("row and index of a line, us of CPU", (time.process_time() - began) / lines * 1e6)
    yield Figure("a line, bytes", (size_bytes(store) - before) / lines)
    for name, query in QUERIES.items():
        ms, found = _best(store, query)
        yield Figure(f"{name}, {lines:,} lines, ms of CPU ({found})", ms, MAX_SEARCH_MS)
    store.dispose()


def _best(store: Store, query: str) -> tuple[float, str]:
    """Return the CPU of a search, and what it found."""
    filter, best = LogFilter(query=query), float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        with store.read() as conn:
            page = filter.page(conn)
        best = min(best, (time.process_time() - began) * 1000)
    return best, f"{len(page.lines)} found" + (", stopped" if page.searched_back_to else "")


def _fill(store: Store, lines: int) -> None:
    random_, start = random.Random(2), datetime(2026, 11, 1, tzinfo=UTC)
    for first in range(0, lines, 1000):
        batch = []
        for number in range(first, min(first + 1000, lines)):
            at = start + timedelta(seconds=number)
            batch.append(_line(random_, at, number))
        with store.write(durable=False) as conn:
            write_lines(conn, batch)


def _line(random_: random.Random, at: datetime, number: int) -> Line:
    order, user = str(number), f"user_{random_.randrange(1000)}"
    level = "fatal" if number % 20_000 == 7 else ("info", "info", "debug", "warning")[number % 4]
    text = "payment declined by the bank" if number % 500 == 3 else TEXTS[number % len(TEXTS)]
    text = "a needle" if number == 700 else text
    ms = str(random_.randrange(5000))
    return Line(
        project_id=1,
        at=at,
        level=level,
        body=text.format(order=order, ms=ms, user=user),
        attributes={
            "sentry.sdk.name": "sentry.python.flask",
            "sentry.sdk.version": "2.75.0",
            "sentry.message.template": text,
            "sentry.message.parameter.order": order,
            "sentry.message.parameter.ms": int(ms),
            "logger.name": f"shop.{('cart', 'pay', 'mail')[number % 3]}",
            "code.file.path": "/srv/shop/pay.py",
            "code.function.name": "pay",
            "code.line.number": 10 + number % 40,
            "process.executable.name": "gunicorn",
            "thread.name": f"worker-{number % 8}",
            "server.address": "web-1",
            "user.id": user,
            "order.id": order,
        },
        release="shop@1.2.3",
        environment="production",
        trace_id=f"{number // 20:032x}" if number > 20 else None,
        span_id=f"{number + 1:016x}",
    )


def _body(lines: list[Line]) -> bytes:
    items = [
        {
            "timestamp": line.at.timestamp(),
            "trace_id": line.trace_id or "a" * 32,
            "span_id": line.span_id,
            "level": line.level,
            "severity_number": 9,
            "body": line.body,
            "attributes": {
                name: {"value": value, "type": "integer" if isinstance(value, int) else "string"}
                for name, value in {
                    **line.attributes,
                    "sentry.release": line.release,
                    "sentry.environment": line.environment,
                }.items()
            },
        }
        for line in lines
    ]
    headers = {"type": "log", "item_count": len(items)}
    headers["content_type"] = "application/vnd.sentry.items.log+json"
    return serialize_envelope(Envelope({}, [Item(headers, {"items": items})]))


def _key_of(store: Store) -> str:
    with store.read() as conn:
        return str(conn.scalar(select(project_keys.c.public_key)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="", help="of an empty PostgreSQL database")
    parser.add_argument("--lines", type=int, default=LINES)
    arguments = parser.parse_args()
    figures = list(printed(measure(arguments.url, arguments.lines)))
    sys.exit(not all(figure.is_met for figure in figures))
