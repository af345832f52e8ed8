"""Fill a store with events without the intake: insert rows into the tables, accounting balanced.

projects ── releases ── issues with history, tags, hours, users ── envelopes, attempts, events

The rows are those that the intake and the forwarder would have written. Their times cover 30 days.
The shares are the same at every size: some projects have many events, most have few.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, text

from app.delivery import accounting
from app.delivery.tables import attempts
from app.events.tables import envelopes, events
from app.issues.tables import issue_hours, issue_tags, issues, transitions
from app.projects import projects
from app.protocol.packing import pack
from app.stats.tables import affected_users, environments_counted, releases
from app.stats.users import ISSUE
from app.stats.windows import hour_number
from app.store import Store, utc_now

CHUNK = 5000
# The least number of events to write in a second of CPU; measured are 12,000 into SQLite.
MIN_RATE = 5000
DAYS = 30
USERS = 20
RELEASES = 5
# Upper bound in hundredths, state, reason. No envelope is pending, since a forwarder would send it.
STATES = [(80, "delivered", None), (92, "local", None), (98, "parked", "HTTP 413: too large")]
LAST_STATE = ("expired", "too old")
LEVELS = ("error", "error", "error", "warning", "fatal")


@dataclass(frozen=True)
class Plan:
    """The size of the filled store; the same numbers give the same rows."""

    events: int = 10_000
    projects: int = 20
    issues: int = 200


@dataclass(frozen=True)
class Filled:
    """The result of filling a store.

    :param seconds: time to write the rows.
    :param cpu_seconds: CPU time of this process for it.
    :param event_id: the id of an event in the middle.
    """

    events: int
    seconds: float
    cpu_seconds: float
    event_id: str


def fill(store: Store, plan: Plan, progress: Callable[[int], None] = lambda _: None) -> Filled:
    """Fill a store that has no events, and return how long it took.

    :param progress: called with the number of events written so far.
    """
    began, worked = time.monotonic(), time.process_time()
    now, chosen = utc_now(), random.Random(17)  # noqa: S311
    # The square gives a few issues, and so a few projects, most of the events.
    issue_of = [int(plan.issues * chosen.random() ** 2) + 1 for _ in range(plan.events)]
    state_of = [_state(chosen.randrange(100)) for _ in range(plan.events)]
    ids = [f"{chosen.getrandbits(128):032x}" for _ in range(plan.events)]
    bodies = [pack(_sent(str(number))) for number in range(5)]
    with store.write(60) as conn:
        for table, rows in _of_issues(plan, issue_of, now):
            _insert(conn, table, rows)
        accounting.add(conn, {"accepted": plan.events, **_counters(state_of)})
    for start in range(0, plan.events, CHUNK):
        numbers = range(start, min(start + CHUNK, plan.events))
        with store.write(60, durable=False) as conn:
            body_of = [bodies[n % len(bodies)] for n in numbers]
            rows = zip(numbers, body_of, strict=True)
            _insert(
                conn,
                envelopes,
                (_envelope(n, ids[n], issue_of[n], state_of[n], b, plan, now) for n, b in rows),
            )
            _insert(
                conn,
                attempts,
                (_attempt(n, state_of[n], plan, now) for n in numbers if state_of[n][0] != "local"),
            )
            _insert(conn, events, (_event(n, ids[n], issue_of[n], plan, now) for n in numbers))
        progress(numbers[-1] + 1)
    _settle(store)
    took = time.monotonic() - began, time.process_time() - worked
    return Filled(plan.events, *took, ids[plan.events // 2])


def project_of(issue: int, plan: Plan) -> int:
    """Return the project of an issue."""
    return issue % plan.projects + 1


def _of_issues(
    plan: Plan, issue_of: list[int], now: datetime
) -> Iterator[tuple[Table, Iterable[dict[str, Any]]]]:
    counts = Counter(issue_of)
    last = {issue: n for n, issue in enumerate(issue_of)}
    first = {issue: n for n, issue in reversed(list(enumerate(issue_of)))}
    numbers = sorted(counts)
    every = range(1, plan.projects + 1)
    yield projects, ({"id": n, "name": f"shop {n}", "created_at": now} for n in every if n > 1)
    yield releases, ({**_release(p, n), "first_seen": now} for p in every for n in range(RELEASES))
    yield (
        issues,
        (
            _issue(n, counts[n], _at(first[n], plan, now), _at(last[n], plan, now), plan)
            for n in numbers
        ),
    )
    yield (
        transitions,
        ({"issue_id": n, "at": _at(first[n], plan, now), "kind": "first_seen"} for n in numbers),
    )
    yield affected_users, (_user(n, user) for n in numbers for user in range(USERS))
    yield issue_tags, (_tag(n, key, value) for n in numbers for key in range(8) for value in "abcd")
    yield environments_counted, [{"id": 1, "event_id": plan.events}]
    yield issue_hours, (_hour(n, ago, now) for n in numbers for ago in range(24))


def _state(hundredth: int) -> tuple[str, str | None]:
    return next(((state, why) for up_to, state, why in STATES if hundredth < up_to), LAST_STATE)


def _counters(states: list[tuple[str, str | None]]) -> dict[str, int]:
    counts = Counter(accounting.counter_of(state, reason) for state, reason in states)
    return dict(counts)


def _at(n: int, plan: Plan, now: datetime) -> datetime:
    return now - timedelta(days=DAYS) * (1 - (n + 1) / plan.events)


def _release(project: int, n: int) -> dict[str, Any]:
    return {"project_id": project, "version": f"shop-{project}@1.2.{n}"}


def _issue(n: int, count: int, first: datetime, last: datetime, plan: Plan) -> dict[str, Any]:
    project = project_of(n, plan)
    return {
        "id": n, "project_id": project,
        "title": f"ValueError: no price in EUR for article {n}",
        "culprit": f"shop.pricing in price_{n}", "type": "ValueError",
        "level": LEVELS[n % len(LEVELS)],
        "status": "resolved" if n % 10 == 0 else "ignored" if n % 17 == 0 else "unresolved",
        "times_seen": count, "stored_event_count": count, "users": USERS,
        "first_seen": first, "last_seen": last,
        "first_release": f"shop-{project}@1.2.0", "last_release": f"shop-{project}@1.2.4",
    }  # fmt: skip


def _grouping(issue: dict[str, Any]) -> dict[str, Any]:
    n = issue["id"]
    of_issue = {"id": n, "issue_id": n, "version": "0", "hash": f"{n:064}"}
    same = ("project_id", "times_seen", "first_seen", "last_seen")
    key = f"ValueError at shop.pricing:price_{n}"
    return {**of_issue, "key": key, **{name: issue[name] for name in same}}


def _user(issue: int, user: int) -> dict[str, Any]:
    of_issue = {"kind": ISSUE, "of_id": issue, "user_hash": f"{user:032}"}
    return {**of_issue, "first_day": 0, "last_hour": 0}


def _tag(issue: int, key: int, value: str) -> dict[str, Any]:
    return {"issue_id": issue, "key": f"tag{key}", "value": value, "times_seen": issue}


def _hour(issue: int, ago: int, now: datetime) -> dict[str, Any]:
    hour = hour_number(now) - ago
    count = (issue * 7 + ago * 13) % 90
    return {"issue_id": issue, "hour": hour, "events": count, "received": count}


def _envelope(
    n: int,
    event_id: str,
    issue: int,
    state: tuple[str, str | None],
    body: bytes,
    plan: Plan,
    now: datetime,
) -> dict[str, Any]:
    at = _at(n, plan, now)
    return {
        "id": n + 1, "uid": event_id, "project_id": project_of(issue, plan), "event_id": event_id,
        "item_types": "event", "state": state[0], "reason": state[1], "received_at": at,
        "settled_at": None if state[0] == "local" else at, "size_bytes": len(body), "body": body,
        "attempts": 0 if state[0] == "local" else 1,
    }  # fmt: skip


def _attempt(n: int, state: tuple[str, str | None], plan: Plan, now: datetime) -> dict[str, Any]:
    return {
        "envelope_id": n + 1, "at": _at(n, plan, now), "ms": 12.5, "error": state[1],
        "status": 200 if state[0] == "delivered" else 413, "state": state[0], "worker": "filler",
    }  # fmt: skip


def _event(n: int, event_id: str, issue: int, plan: Plan, now: datetime) -> dict[str, Any]:
    at, project = _at(n, plan, now), project_of(issue, plan)
    return {
        "id": n + 1, "event_id": event_id, "project_id": project, "issue_id": issue,
        "envelope_id": n + 1, "level": LEVELS[issue % len(LEVELS)], "platform": "python",
        "title": f"ValueError: no price in EUR for article {issue}",
        "culprit": f"shop.pricing in price_{issue}", "transaction": "/cart",
        "environment": "production" if n % 3 else "staging",
        "release": f"shop-{project}@1.2.{n % RELEASES}", "timestamp": at, "received_at": at,
        "stored_at": at, "scrub_ms": 0.3, "scrubbed": [], "duplicates": 0,
    }  # fmt: skip


def _sent(user: str) -> bytes:
    """Return an event as the Python SDK sends it: 14 frames with source and variables."""
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
        for number in range(14)
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
        "user": {"id": user},
    }
    return b'{}\n{"type":"event"}\n' + json.dumps(payload).encode() + b"\n"


def _insert(conn: Any, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    found = list(rows)
    if found:
        conn.execute(insert(table), found)


def _settle(store: Store) -> None:
    """Set PostgreSQL's sequences behind the last ids, and update its statistics."""
    if store.is_sqlite:
        return
    with store.write(60) as conn:
        for table in ("projects", "issues", "envelopes", "events"):
            last = f"(SELECT max(id) FROM {table})"  # noqa: S608 -- our own names
            conn.execute(text(f"SELECT setval('{table}_id_seq', {last})"))
        conn.execute(text("ANALYZE"))


def _bar(done: int, total: int) -> None:
    share = done / total
    print(f"\r[{'#' * int(share * 40):<40}] {done:,} of {total:,}", end="", flush=True)


def main() -> int:
    """Fill a store and print the rate; return 1 if it was too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filler", description=__doc__)
    parser.add_argument("url", help="an empty store, as DATABASE_URL")
    parser.add_argument("--events", type=int, default=Plan.events, help="default 10,000")
    parser.add_argument("--projects", type=int, default=Plan.projects, help="default 20")
    parser.add_argument("--issues", type=int, default=Plan.issues, help="default 200")
    given = parser.parse_args()
    store = Store(given.url)
    store.open()
    plan = Plan(given.events, given.projects, given.issues)
    filled = fill(store, plan, lambda done: _bar(done, plan.events))
    rate = filled.events / filled.cpu_seconds
    print(f"\n{filled.events / filled.seconds:,.0f} events/s, {rate:,.0f} of CPU")
    store.dispose()
    return 0 if rate >= MIN_RATE else 1


if __name__ == "__main__":
    sys.exit(main())
