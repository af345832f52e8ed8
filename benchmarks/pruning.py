"""The cost of a pruning batch while it holds the writer's lock, in a small and a large store.

    python -m benchmarks.pruning [--transactions N] [ISSUES …]        by default 500 and 500,000

The rows are inserted into the tables directly. Each issue has one old event, two tags, an hour, a
row of history and an attempt. Every tenth issue is ignored and keeps its row. The CPU of the thread
is measured while it holds the writer's lock. Goal: at most 20 ms at p99, independent of the size of
the store.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from app.intake.expired_issues import expire, purge_deleted
from app.intake.pruning import BATCH_SIZE, candidates, remove
from app.store import Store, utc_now

MAX_MS = 20.0

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_FILL = (
    "INSERT INTO envelopes (id, uid, project_id, event_id, item_types, state, received_at,"
    " size_bytes, body) SELECT i, printf('%032x', i), 1, printf('%032x', i), 'event', 'local',"
    " :at, 6000, randomblob(2600) FROM n",
    "INSERT INTO issues (id, project_id, title, culprit, type, level, status, times_seen,"
    " stored_event_count, users, first_seen, last_seen)"
    " SELECT i, 1, 'E' || i, 'a', 'E', 'error',"
    " CASE i % 10 WHEN 0 THEN 'ignored' ELSE 'unresolved' END, 1, 1, 0, :at, :at FROM n",
    "INSERT INTO groupings (id, project_id, version, hash, key, issue_id, times_seen, first_seen,"
    " last_seen) SELECT i, 1, '1', printf('%064x', i), 'E' || i, i, 1, :at, :at FROM n",
    "INSERT INTO events (id, event_id, project_id, issue_id, envelope_id, level, title, culprit,"
    " timestamp, received_at, stored_at, scrub_ms, scrubbed, duplicates) SELECT i,"
    " printf('%032x', i), 1, i, i, 'error', 'E' || i, 'a', :at, :at, :at, 0, '[]', 0 FROM n",
    "INSERT INTO issue_tags (issue_id, key, value, times_seen) SELECT i, 'level', 'x', 1 FROM n",
    "INSERT INTO issue_tags (issue_id, key, value, times_seen) SELECT i, 'os', 'x', 1 FROM n",
    "INSERT INTO issue_hours (issue_id, hour, events)"
    " SELECT i, strftime('%s', :now) / 3600, 1 FROM n",
    "INSERT INTO transitions (issue_id, at, kind) SELECT i, :at, 'first_seen' FROM n",
    "INSERT INTO attempts (envelope_id, at, ms, state, worker) SELECT i, :now, 1, 'retry', 'x'"
    " FROM n",
)
_COUNTS = "INSERT INTO counters (name, value) VALUES ('accepted', :count), ('state:local', :count)"


class Enough(Exception):
    """The requested number of transactions is measured."""


class MeasuredStore(Store):
    """A store that records the CPU seconds of each write transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._held: list[float] = []
        self._at_most: int | None = None

    @contextmanager
    def write(self, *args: Any, **kwargs: Any) -> Iterator[Connection]:
        """Open a write transaction, and record its CPU time up to the end of the commit."""
        if len(self._held) == self._at_most:
            raise Enough
        with super().write(*args, **kwargs) as conn:
            started = time.thread_time()
            yield conn
            conn.commit()
            self._held.append(time.thread_time() - started)

    def report(self, name: str, action: Callable[[], object], at_most: int | None = None) -> bool:
        """Run an action, and print the cost of its transactions; return whether p99 is good."""
        self._held, self._at_most = [], at_most
        with suppress(Enough):
            action()
        self._at_most = None
        held = sorted(1000 * seconds for seconds in self._held)
        p99 = held[min(len(held) - 1, len(held) * 99 // 100)]
        print(
            f"{name}: {len(held):,} transactions, CPU with the lock held"
            f" p50 {held[len(held) // 2]:.1f} ms, p99 {p99:.1f} ms, most {held[-1]:.1f} ms",
            flush=True,
        )
        return p99 <= MAX_MS


def fill(store: Store, count: int) -> None:
    """Insert ``count`` old issues into an empty SQLite store."""
    now = utc_now()
    values = {"count": count, "at": _as_stored(now - timedelta(days=200)), "now": _as_stored(now)}
    for statement in _FILL:
        with store.write(durable=False) as conn:
            head, _, rest = statement.partition(" SELECT ")
            conn.execute(text(f"{_NUMBERS}{head} SELECT {rest}"), values)
    with store.write(durable=False) as conn:
        conn.execute(text(_COUNTS), {"count": count})


def _as_stored(moment: Any) -> str:
    return str(moment.replace(tzinfo=None).isoformat(" "))


def measure(count: int, at_most: int) -> bool:
    """Prune a store of old issues, and print the cost of the batches.

    :param count: how many issues the store has.
    :param at_most: how many transactions of each kind are measured.
    :return: whether p99 of each kind is within the goal.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = MeasuredStore(f"sqlite:///{Path(folder) / 'store.sqlite3'}")
        store.open()
        fill(store, count)
        now = utc_now()
        before = now - timedelta(days=90)
        chosen = islice(candidates(store, project_id=1, before=before), at_most * BATCH_SIZE)
        good = store.report(f"{count:,} issues: envelopes", lambda: remove(store, chosen))
        with store.write(durable=False) as conn:
            # Without events, all issues of the store can expire.
            conn.execute(text("DELETE FROM events"))
            conn.execute(text("UPDATE issues SET stored_event_count = 0"))
        kinds: dict[str, Callable[[], object]] = {
            "issues expired": lambda: expire(store, 1, before, now),
            "issues purged": lambda: purge_deleted(store, at_most),
        }
        for name, action in kinds.items():
            good &= store.report(f"{count:,} issues: {name}", action, at_most)
        store.dispose()
    return good


def main(counts: list[int], at_most: int = 1000) -> int:
    """Measure stores of these sizes; return 1 if the goal is missed."""
    return 0 if all([measure(count, at_most) for count in counts]) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("issues", type=int, nargs="*", default=[500, 500_000])
    parser.add_argument("--transactions", type=int, default=1000, help="of each kind, at most")
    options = parser.parse_args()
    sys.exit(main(options.issues, options.transactions))
