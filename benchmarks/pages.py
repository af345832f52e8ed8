"""The cost of lists and pages with each filter, at 10,000 and at 200,000 events of 20 projects.

The stores are filled without the intake (`filler.py`), with the same shares of everything. CPU time
is that of this process (the application and SQLite) for one request through the WSGI application,
the best of several rounds. Bytes are those of the answer's body.

A query along an index may cost twice as much in the larger store. Any other filter reads at most
20,000 rows, and the smaller store, or the project in it, has fewer rows. Such a filter may cost
twice as much plus those 20,000 rows, independent of the size of the larger store.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event

from app import create_app
from app.store import Store
from benchmarks.filler import MIN_RATE, Plan, fill
from benchmarks.goals import Figure, printed
from config import load_config

SIZES = (10_000, 200_000)
ROUNDS = 7
MAX_RATIO = 2.0
# The cost of the 20,000 rows that a filter reads, 2 µs each. Rows of one project are not adjacent,
# and SQLite looks up each of them: 17 ms among 200,000 events, and 38 ms for text among 1,000,000.
# Rows in the order of the table take 3 to 8 ms.
MAX_WINDOW_MS = 40.0
MAX_CPU_MS = 150.0
MAX_KB = 100
PASSWORD = "correct-horse-battery"

# Project 2 is the busiest project, project 20 has few events.
ALONG_AN_INDEX = {
    "issue list": "/admin/issues",
    "all issues": "/admin/issues?status=all&sort=times_seen",
    "issues, project": "/admin/issues?project=2",
    "events": "/admin/events",
    "deliveries": "/admin/deliveries",
    "deliveries, state": "/admin/deliveries?state=parked",
    "api events, project": "/api/events?project_id=2",
    "api events, quiet": "/api/events?project_id=20",
    "api issues, project": "/api/issues?project_id=2",
    "api deliveries": "/api/deliveries?state=parked",
    "api releases": "/api/releases?project_id=2",
}
LOOKED_THROUGH = {
    "events, level": "/admin/events?level=info",
    "events, environment": "/admin/events?environment=nowhere",
    "events, release": "/admin/events?release=none",
    "events, text": "/admin/events?q=nothing",
    "events, last day": "/admin/events?period=day",
    "api events, both": "/api/events?project_id=2&level=info",
    "api events, text": "/api/events?project_id=2&q=nothing",
    "api events, release": "/api/events?project_id=2&release=none",
    "api events, since": "/api/events?since=2020-01-01T00:00:00Z&level=info",
    "issues, text": "/admin/issues?q=nothing&status=all",
    "issues, environment": "/admin/issues?environment=nowhere&status=all",
    "issues, release": "/admin/issues?release=none&status=all",
    "deliveries, project": "/api/deliveries?project_id=20",
    "deliveries, reason": "/api/deliveries?reason=nothing",
    "deliveries, item": "/api/deliveries?item_type=session",
    "deliveries, since": "/api/deliveries?since=2099-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Cost:
    """The cost of a request: CPU milliseconds, bytes of the body, number of queries."""

    cpu_ms: float
    size_bytes: int
    queries: int


def measure(url: str = "", sizes: tuple[int, int] = SIZES) -> Iterator[Figure]:
    """Measure both stores.

    :param url: of empty PostgreSQL databases, used instead of SQLite files; ``{size}`` in it is
        replaced by the number of events.
    :param sizes: number of events of the smaller and of the larger store.
    """
    small, large = (_costs(size, url.format(size=size)) for size in sizes)
    for page, cost in large.items():
        window_ms = MAX_WINDOW_MS if page in LOOKED_THROUGH else 0.0
        must = min(MAX_CPU_MS, MAX_RATIO * small[page].cpu_ms + window_ms)
        yield Figure(f"{page}, {sizes[0]:,} events, ms of CPU", small[page].cpu_ms)
        yield Figure(f"{page}, {sizes[1]:,} events, ms of CPU", cost.cpu_ms, must)
        yield Figure(f"{page}, KB", cost.size_bytes / 1000, MAX_KB)
        yield Figure(f"{page}, queries", cost.queries)


def _costs(size: int, url: str = "") -> dict[str, Cost]:
    """Fill a store, and return the cost of each page."""
    folder = Path(tempfile.mkdtemp(prefix="bench-pages-"))
    try:
        settings = {"ENVIRONMENT": "testing", "DATA_DIR": folder, "ADMIN_PASSWORD": PASSWORD}
        app = create_app(load_config({}, **settings, **({"DATABASE_URL": url} if url else {})))
        store: Store = app.extensions["devenviro.store"]
        filled = fill(store, Plan(events=size))
        assert size / filled.cpu_seconds >= MIN_RATE, "the filler is too slow"
        client = _logged_in(app)
        issue = client.get(f"/api/events/{filled.event_id}").get_json()["issue_id"]
        pages = {
            **ALONG_AN_INDEX,
            "issue page": f"/admin/issues/{issue}",
            "event page": f"/admin/events/{filled.event_id}",
            **LOOKED_THROUGH,
        }
        costs = {page: _cost(store, client, path) for page, path in pages.items()}
        app.extensions["devenviro.intake"].close()
        store.dispose()
        return costs
    finally:
        shutil.rmtree(folder)


def _logged_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    page = client.get("/admin/login").text
    token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    form = {"username": "admin", "password": PASSWORD, "csrf_token": token}
    assert client.post("/admin/login", data=form).status_code in (302, 303)
    return client


def _cost(store: Store, client: FlaskClient, path: str) -> Cost:
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked.append(statement)

    engine = store._reader()
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    answer = client.get(path)
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)
    assert answer.status_code == 200, path
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        client.get(path)
        rounds.append((time.process_time() - began) * 1000)
    return Cost(min(rounds), len(answer.data), len(asked))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("url", nargs="?", default="", help="PostgreSQL URLs, with {size} in them")
    parser.add_argument(
        "--events", type=int, default=SIZES[1], help="of the larger store, e.g. 1000000"
    )
    given = parser.parse_args()
    figures = printed(measure(given.url, (SIZES[0], given.events)))
    sys.exit(not all([figure.is_met for figure in figures]))
