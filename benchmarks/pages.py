"""What the issue list and the event page cost at 10,000 and at 200,000 events.

The stores are filled past the intake, by statements over many rows, with the same shares of
everything. CPU time is that of this process (the application and SQLite) for one request through
the WSGI application, the best of several rounds; bytes are those of the answer's body.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert

from app import create_app
from app.db import Store, utc_now
from app.delivery import books
from app.events.affected import ISSUE, affected_users
from app.events.tables import envelopes, events
from app.issues.tables import issue_hours, issue_tags, issues, transitions
from app.protocol.packing import pack
from config import load_config

SIZES = (10_000, 200_000)
ISSUES = 200
ROUNDS = 15
MAX_RATIO = 1.5
MAX_CPU_MS = 150.0
MAX_BYTES = 100_000
PASSWORD = "correct-horse-battery"
CHUNK = 5000


@dataclass(frozen=True)
class Cost:
    """What one request took: CPU milliseconds, bytes of the body, number of queries."""

    cpu_ms: float
    size_bytes: int
    queries: int


def main(url: str = "") -> int:
    """Measure both stores and print the table; 1 if a goal is missed.

    :param url: an empty PostgreSQL database to fill instead of SQLite files, once for each size,
        with ``{size}`` where their names differ.
    """
    costs = {size: measure(size, url.format(size=size)) for size in SIZES}
    small, large = (costs[size] for size in SIZES)
    missed = False
    print(f"{'page':<14}{'events':>9}{'CPU ms':>9}{'KB':>7}{'queries':>9}{'ratio':>7}")
    for page in small:
        ratio = large[page].cpu_ms / small[page].cpu_ms
        for size in SIZES:
            cost = costs[size][page]
            last = f"{ratio:7.2f}" if size == SIZES[-1] else ""
            print(
                f"{page:<14}{size:>9,}{cost.cpu_ms:>9.1f}{cost.size_bytes / 1000:>7.1f}"
                f"{cost.queries:>9}{last}"
            )
            missed |= cost.cpu_ms > MAX_CPU_MS or cost.size_bytes > MAX_BYTES
        missed |= ratio > MAX_RATIO
    print(f"goals: ratio ≤ {MAX_RATIO}, ≤ {MAX_CPU_MS:.0f} ms, ≤ {MAX_BYTES / 1000:.0f} KB")
    return int(missed)


def measure(size: int, url: str = "") -> dict[str, Cost]:
    """Fill a store and return what each page costs there."""
    folder = Path(tempfile.mkdtemp(prefix="bench-pages-"))
    try:
        settings = {"ENVIRONMENT": "testing", "DATA_DIR": folder, "ADMIN_PASSWORD": PASSWORD}
        app = create_app(load_config({}, **settings, **({"DATABASE_URL": url} if url else {})))
        store: Store = app.extensions["devenviro"].store
        event_id = fill(store, size)
        client = _logged_in(app)
        issue = client.get(f"/api/events/{event_id}").get_json()["issue_id"]
        pages = {
            "issue list": "/admin/issues",
            "all issues": "/admin/issues?status=all&sort=times_seen",
            "issue page": f"/admin/issues/{issue}",
            "event page": f"/admin/events/{event_id}",
        }
        costs = {page: _cost(store, client, path) for page, path in pages.items()}
        app.extensions["devenviro"].intake.close()
        store.dispose()
        return costs
    finally:
        shutil.rmtree(folder)


def fill(store: Store, size: int) -> str:
    """Fill an empty store and return the id of an event in the middle of an issue."""
    now = utc_now()
    with store.write(60) as conn:
        conn.execute(insert(issues), [_issue(number, size, now) for number in range(1, ISSUES + 1)])
        conn.execute(insert(transitions), [_first_seen(number, now) for number in _issues()])
        conn.execute(
            insert(affected_users), [_user(number, u) for number in _issues() for u in _u()]
        )
        conn.execute(insert(issue_tags), [_tag(n, k, v) for n in _issues() for k, v in _tags()])
        conn.execute(
            insert(issue_hours),
            [_hour(number, ago, now) for number in _issues() for ago in range(24)],
        )
        books.add(conn, {"accepted": size, "state:local": size})
    body = pack(_envelope())
    ids = [uuid.uuid4().hex for _ in range(size)]
    for start in range(0, size, CHUNK):
        with store.write(60) as conn:
            numbers = range(start, min(start + CHUNK, size))
            conn.execute(insert(envelopes), [_envelope_row(n, ids[n], body, now) for n in numbers])
            conn.execute(insert(events), [_event_row(n, ids[n], now) for n in numbers])
    if not store.is_sqlite:
        with store.write(60) as conn:
            for table in ("issues", "envelopes", "events"):
                conn.exec_driver_sql(
                    f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"
                )
            conn.exec_driver_sql("ANALYZE")
    return ids[size // 2]


def _issues() -> range:
    return range(1, ISSUES + 1)


def _u() -> range:
    return range(20)


def _tags() -> list[tuple[str, str]]:
    return [(f"tag{key}", f"value{value}") for key in range(8) for value in range(20)]


def _issue(number: int, size: int, now: datetime) -> dict[str, object]:
    return {
        "id": number,
        "project_id": 1,
        "grouping_version": "0",
        "grouping_hash": f"{number:064}",
        "grouping_key": f"ValueError at shop.pricing:price_{number}",
        "title": f"ValueError: no price in EUR for article {number}",
        "culprit": f"shop.pricing in price_{number}",
        "type": "ValueError",
        "level": "error",
        "status": "resolved" if number % 10 == 0 else "unresolved",
        "times_seen": size // ISSUES,
        "stored_event_count": size // ISSUES,
        "users": len(_u()),
        "first_seen": now - timedelta(days=30),
        "last_seen": now - timedelta(seconds=number),
        "first_release": "shop@1.0.0",
        "last_release": "shop@1.2.3",
    }


def _first_seen(number: int, now: datetime) -> dict[str, object]:
    return {"issue_id": number, "at": now, "kind": "first_seen", "release": "shop@1.0.0"}


def _user(number: int, user: int) -> dict[str, object]:
    of_issue = {"kind": ISSUE, "of_id": number, "user_hash": f"{user:032}"}
    return {**of_issue, "first_day": 0, "last_day": 0}


def _tag(number: int, key: str, value: str) -> dict[str, object]:
    return {"issue_id": number, "key": key, "value": value, "times_seen": number}


def _hour(number: int, ago: int, now: datetime) -> dict[str, object]:
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=ago)
    return {"issue_id": number, "hour": hour, "events": (number * 7 + ago * 13) % 90}


def _envelope_row(n: int, event_id: str, body: bytes, now: datetime) -> dict[str, object]:
    return {
        "id": n + 1,
        "uid": event_id,
        "project_id": 1,
        "event_id": event_id,
        "item_types": "event",
        "state": "local",
        "received_at": now,
        "size_bytes": len(body),
        "body": body,
    }


def _event_row(n: int, event_id: str, now: datetime) -> dict[str, object]:
    issue = n % ISSUES + 1
    return {
        "id": n + 1,
        "event_id": event_id,
        "project_id": 1,
        "issue_id": issue,
        "envelope_id": n + 1,
        "level": "error",
        "platform": "python",
        "title": f"ValueError: no price in EUR for article {issue}",
        "culprit": f"shop.pricing in price_{issue}",
        "environment": "production" if n % 3 else "staging",
        "release": f"shop@1.2.{n % 4}",
        "timestamp": now,
        "received_at": now,
        "stored_at": now,
        "scrub_ms": 0.3,
        "scrubbed": [],
        "duplicates": 0,
    }


def _envelope() -> bytes:
    """An event as the Python SDK sends it: a dozen calls with source and variables."""
    frames = [
        {
            "function": f"call_{number}",
            "module": f"shop.module_{number}",
            "filename": f"shop/module_{number}.py",
            "lineno": 40 + number,
            "in_app": number > 5,
            "pre_context": [f"    line_{line} = prices.get(article, None)" for line in range(5)],
            "context_line": "    raise ValueError(f'no price in {currency}')",
            "post_context": ["", "", "class Order:", "    number: int = 7", ""],
            "vars": {"article": {"id": number, "name": "a book"}, "currency": "'EUR'"},
        }
        for number in range(12)
    ]
    crumbs = [{"category": "query", "message": f"SELECT {n}", "level": "info"} for n in range(20)]
    payload = {
        "exception": {
            "values": [
                {"type": "ValueError", "value": "no price in EUR", "stacktrace": {"frames": frames}}
            ]
        },
        "breadcrumbs": {"values": crumbs},
        "tags": {f"tag{number}": "value1" for number in range(8)},
        "contexts": {"runtime": {"name": "CPython", "version": "3.11"}},
        "request": {"method": "GET", "url": "http://shop.example/cart", "headers": {"Accept": "*"}},
        "user": {"id": "17"},
    }
    return b'{}\n{"type":"event"}\n' + json.dumps(payload).encode() + b"\n"


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
    sys.exit(main(parser.parse_args().url))
