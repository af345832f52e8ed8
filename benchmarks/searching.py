"""What searching costs, at 10,000 and at 200,000 events, and what the index costs an event.

The stores are filled without the intake (`filler.py`), and then indexed as the background task does
it. CPU time is that of this process (the search and SQLite), the best of several rounds. A search
that stops at its bound of 20,000 candidates costs that bound in the larger store, and 10,000 in the
smaller one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.inputs.period import Range, period_range
from app.search.events import newest_matching, search_events
from app.search.grammar import parse
from app.search.indexing import catch_up
from app.search.issues import issues_with
from app.store import Store, utc_now
from app.store.size import size_bytes
from benchmarks.filler import Plan, fill
from benchmarks.goals import Figure, printed

SIZES = (10_000, 200_000)
ROUNDS = 7
# A bare request takes 0.25 ms of CPU on the machine of `make bench`.
MAX_MS = 25.0
MAX_RATIO = 1.5
# Below this, the ratio of two searches is that of noise.
FLOOR_MS = 2.0

# Of the filler's events: each has `price` and `call_3`, two of three are of production, one of 200
# issues is article 150.
QUERIES = {
    "word in all events": "price",
    "words of one issue": 'article "150"',
    "word and environment": "price environment:production",
    "user": "user.id:3",
    "transaction, not level": "transaction:/cart !level:error",
    "release": "release:shop-2@1.2.4",
    "beginning": "call*",
    "nothing of much": "environment:production environment:staging",
    "nothing at all": "nowhere",
}
OF_ISSUES_ALONE = {"inside a word": "*rtic* environment:production"}


def measure(url: str = "", sizes: tuple[int, int] = SIZES) -> Iterator[Figure]:
    """Measure both stores.

    :param url: of empty PostgreSQL databases, used instead of SQLite files; ``{size}`` in it is
        replaced by the number of events.
    :param sizes: number of events of the smaller and of the larger store.
    """
    small, large = (dict(_costs(size, url.format(size=size))) for size in sizes)
    for name, (ms, unit) in large.items():
        before = small[name][0]
        if unit:
            yield Figure(f"{name}, {sizes[1]:,} events, {unit}", ms)
            continue
        aim = max(before * MAX_RATIO, FLOOR_MS)
        yield Figure(f"{name}, {sizes[0]:,} events, ms of CPU", before)
        yield Figure(f"{name}, {sizes[1]:,} events, ms of CPU", ms, MAX_MS, aim)


def _costs(size: int, url: str) -> Iterator[tuple[str, tuple[float, str]]]:
    folder = Path(tempfile.mkdtemp(prefix="bench-search-"))
    store = Store(url or f"sqlite:///{folder / 'store.sqlite3'}")
    try:
        store.open()
        fill(store, Plan(events=size))
        before, began = size_bytes(store), time.process_time()
        catch_up(store)
        yield "indexing", ((time.process_time() - began) / size * 1000, "ms of CPU each")
        _settle(store)
        yield "index", ((size_bytes(store) - before) / size, "bytes each")
        for name, ask in _searches().items():
            yield name, (_best(store, ask), "")
    finally:
        store.dispose()
        shutil.rmtree(folder)


def _settle(store: Store) -> None:
    """Put the write-ahead log into the file, whose size is measured, or update statistics."""
    if store.is_sqlite:
        store.maintain("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        store.maintain("VACUUM ANALYZE")


def _searches() -> dict[str, Callable[[Connection], Any]]:
    every, week = (period_range(name, utc_now()) for name in ("all", "week"))
    found: dict[str, Callable[[Connection], Any]] = {}
    for name, query in QUERIES.items():
        found[f"events, {name}"] = _of_events(query, every)
    for name, query in {**QUERIES, **OF_ISSUES_ALONE}.items():
        found[f"issues, {name}"] = _of_issues(query, every)
    found["issues, last week"] = _of_issues("price", week)
    found["newest matching event"] = _newest("price environment:staging", every)
    return found


def _of_events(query: str, range: Range) -> Callable[[Connection], Any]:
    return lambda conn: search_events(conn, parse(query).of_event, range)


def _of_issues(query: str, range: Range) -> Callable[[Connection], Any]:
    return lambda conn: issues_with(conn, parse(query).of_event, range)


def _newest(query: str, range: Range) -> Callable[[Connection], Any]:
    return lambda conn: newest_matching(conn, 150, parse(query).of_event, range)


def _best(store: Store, ask: Callable[[Connection], Any]) -> float:
    rounds = []
    with store.read() as conn:
        for _ in range(ROUNDS):
            began = time.process_time()
            ask(conn)
            rounds.append((time.process_time() - began) * 1000)
    return min(rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching", description=__doc__)
    parser.add_argument("url", nargs="?", default="", help="PostgreSQL URLs, with {size} in them")
    parser.add_argument("--events", type=int, default=SIZES[1], help="of the larger store")
    given = parser.parse_args()
    figures = printed(measure(given.url, (SIZES[0], given.events)))
    sys.exit(not all([figure.is_met for figure in figures]))
