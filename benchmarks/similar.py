"""The cost of "similar issues": for a page among 10,000 issues, and for indexing an issue.

    python -m benchmarks.similar

The CPU of this process is measured (the application and SQLite), with two stores. One has 10,000
different errors of a large program. In the other, all issues have nearly everything in common, as
happens if one bug has fingerprints with an id. The stores are filled without the intake, with the
terms that issues are compared by.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from app import create_app
from app.intake import Intake
from app.issues.queries import find_issue
from app.issues.similar import similar_to
from app.issues.similarity import VERSION, hash_of, terms_of
from app.issues.similarity_index import read_unread, unread
from app.issues.tables import issue_similarity, issue_terms, issues
from app.protocol.envelope import Envelope, Item
from app.protocol.event import read_event
from app.store import Store, utc_now
from benchmarks.envelopes import event_of
from benchmarks.goals import Figure, run_alone
from config import load_config

ISSUES = 10_000
ASKED = 60
READ = 200
MAX_MS = 20.0
WORDS = (
    "order customer price stock invoice payment address cart refund voucher parcel label export "
    "import feed article currency tax account session token queue mail template report total line "
    "connection refused timeout missing invalid unexpected unknown duplicate expired locked empty "
    "null response request status value key column row file stream limit exceeded denied closed"
).split()
TYPES = "KeyError ValueError TypeError OperationalError TimeoutError PermissionError".split()


def different(number: int) -> dict[str, Any]:
    """Return the payload of one of many bugs: 400 modules, 3,000 functions, a few types."""
    rng = random.Random(number)
    module, function = f"shop.part_{_name(rng, 400)}", f"do_{_name(rng, 3000)}"
    callers = [("shop.web", "handle"), (f"shop.part_{_name(rng, 400)}", "call")]
    frames = [
        {"module": module, "function": function, "in_app": True}
        for module, function in (*callers, (module, function))
    ]
    value = " ".join(rng.sample(WORDS, rng.randint(4, 10)))
    error = {"type": rng.choice(TYPES), "value": value, "stacktrace": {"frames": frames}}
    return {"exception": {"values": [error]}}


def alike(number: int) -> dict[str, Any]:
    """Return the payload of one bug; one word of its message differs in each issue."""
    payload = different(0)
    payload["exception"]["values"][0]["value"] += f" {_name(random.Random(number), 10**6)}"
    return payload


def _name(rng: random.Random, of: int) -> str:
    # The name has letters only, since numbers are ignored as parts that differ between events.
    return "".join(chr(ord("a") + int(digit)) for digit in str(rng.randrange(of)))


def fill(store: Store, payload_of: Callable[[int], dict[str, Any]]) -> None:
    """Insert 10,000 issues into an empty store, with the terms that they are compared by."""
    now = utc_now()
    read = [
        (number, terms_of(read_event(payload_of(number), event_id="a" * 32, received_at=now)))
        for number in range(1, ISSUES + 1)
    ]
    with store.write(60) as conn:
        conn.execute(insert(issues), [_issue(number, now) for number, _ in read])
        of = {"project_id": 1, "version": VERSION}
        rows = [{**of, "issue_id": number, "terms": " ".join(terms)} for number, terms in read]
        conn.execute(insert(issue_similarity), rows)
        postings = [
            {"project_id": 1, "issue_id": number, "term": term}
            for number, terms in read
            for term in {hash_of(term) for term in terms}
        ]
        conn.execute(insert(issue_terms), postings)
        if not store.is_sqlite:
            conn.exec_driver_sql("SELECT setval('issues_id_seq', (SELECT max(id) FROM issues))")
            conn.exec_driver_sql("ANALYZE")


def _issue(number: int, now: Any) -> dict[str, Any]:
    counts = {"times_seen": 1, "stored_event_count": 0, "users": 0}
    seen = {"first_seen": now, "last_seen": now}
    shown = {"title": "ValueError: a bug", "culprit": "shop", "type": "ValueError"}
    of = {"id": number, "project_id": 1, "level": "error", "status": "unresolved"}
    return {**of, **shown, **counts, **seen}


def asking_ms(store: Store) -> list[float]:
    """Return the CPU milliseconds to find similar issues, for issues from all over the store."""
    took = []
    for number in range(1, ISSUES + 1, ISSUES // ASKED):
        started = time.process_time()
        with store.read() as conn:
            unread(conn, 1)
            issue = find_issue(conn, number)
            assert issue is not None
            similar_to(conn, issue)
        took.append((time.process_time() - started) * 1000)
    return took


def reading_ms(store: Store, intake: Intake) -> float:
    """Return the CPU milliseconds to index an issue with an ordinary event of 16 KB."""
    for number in range(READ):
        payload = event_of(number, 0)
        envelope = Envelope({"event_id": payload["event_id"]}, [Item({"type": "event"}, payload)])
        intake.accept(envelope, project_id=1, timeout_s=10)
    started = time.process_time()
    assert read_unread(store, READ) == READ
    return (time.process_time() - started) * 1000 / READ


def _costs(
    payload_of: Callable[[int], dict[str, Any]], url: str = ""
) -> tuple[float, float, float]:
    """Return median and 95th percentile of finding, and the cost of indexing, in ms of CPU."""
    with tempfile.TemporaryDirectory(prefix="bench-similar-") as folder:
        given = {"ENVIRONMENT": "testing", "DATA_DIR": Path(folder)}
        app = create_app(load_config({}, **given, **({"DATABASE_URL": url} if url else {})))
        store, intake = app.extensions["devenviro.store"], app.extensions["devenviro.intake"]
        fill(store, payload_of)
        asking_ms(store)
        took = sorted(asking_ms(store))
        reading = reading_ms(store, intake)
        intake.close()
        store.dispose()
    return statistics.median(took), took[len(took) * 95 // 100], reading


def measure() -> Iterator[Figure]:
    """Measure stores of different and of similar issues."""
    for name, payload_of in (("all different", different), ("nearly all alike", alike)):
        median, high, reading = _costs(payload_of)
        yield Figure(f"similar ones of {ISSUES:,} issues, {name}: p95, ms of CPU", high, MAX_MS)
        yield Figure(f"{name}: median, ms of CPU", median)
        yield Figure(f"{name}: reading an issue, ms of CPU", reading)


if __name__ == "__main__":
    run_alone(__doc__, measure)
