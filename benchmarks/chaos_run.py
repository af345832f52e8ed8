"""Minutes of all failures at once: both kinds of callers, an upstream with moods, and SIGKILL.

    python -m benchmarks.chaos_run --events 2000 --kills 100 --seed 1

Afterwards the upstream is healthy and all waiting envelopes are sent. Then the record of the fake
Sentry is compared with the answers: no event is lost, every repetition is explained by a kill or
the upstream, no envelope is sent by two processes at once, and the accounting balances.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import select

from app.delivery import accounting, outbox
from app.delivery.destination_sender import CONNECTIONS
from app.events.tables import envelopes
from app.store import Store, StoreError
from benchmarks import second_door
from benchmarks.chaos_audit import (
    Repeats,
    by_reason,
    missing,
    overlaps_without_kill,
    repeats_of,
    worst_kill,
)
from benchmarks.chaos_processes import Processes
from benchmarks.upstream import ONCE, ChangingUpstream
from tests.fake_sentry import FakeSentry
from tests.server_process import http, wait_for

CALLERS_AT_EACH_DOOR = 3
# The time between two events of a caller, also while the server is down.
PACE_S = 0.1
BUGS = 40
LATENCY_S = 0.01
# Each of the two projects has its own destination, and one process may send to both.
OPEN = 2 * CONNECTIONS
# Long enough for the end of all rate limits and for the longest wait for a lease.
DRAINED_WITHIN_S = 240
SETTINGS = {
    "DELIVERY_BACKOFF_BASE_S": "0.1",
    "DELIVERY_BACKOFF_MAX_S": "2",
    "DELIVERY_BACKLOG_PER_S": "0",
}


@dataclass(frozen=True)
class Plan:
    """The size of a run.

    :param events: the least number of accepted events.
    :param kills: SIGKILLs of web processes, their master, and the worker.
    :param once: passed to :class:`ChangingUpstream`, as is ``mood_s``.
    :param database_url: the default is a new SQLite file.
    """

    events: int = 2000
    kills: int = 100
    seed: int = 1
    once: tuple[dict[str, Any], ...] = ONCE
    mood_s: tuple[float, float] | None = None
    database_url: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a run; :meth:`wrong` lists its errors."""

    answered: dict[str, int]
    arrived: int
    explained: dict[str, int]
    lost: set[str]
    repeats: Repeats
    kills: int
    overlaps: int
    accounting: dict[str, Any]
    seconds: float
    moods: int

    def wrong(self) -> list[str]:
        """Return a line for each limit that was broken."""
        found = {
            f"{len(self.lost)} events lost: {sorted(self.lost)[:5]}": bool(self.lost),
            f"a kill had {worst_kill(self.repeats)} events sent twice, allowed are"
            f" {OPEN}": worst_kill(self.repeats) > OPEN,
            f"{len(self.repeats.unexplained)} events sent twice without a cause": bool(
                self.repeats.unexplained
            ),
            f"{self.overlaps} envelopes were sent by two at once": bool(self.overlaps),
            f"the books do not balance: {self.accounting}": not self.accounting["balanced"],
        }
        return [text for text, is_wrong in found.items() if is_wrong]


@dataclass
class _Answered:
    """Ids of accepted events, by the kind of caller."""

    ids: dict[str, list[str]] = field(default_factory=dict)

    def count(self) -> int:
        return sum(len(ids) for ids in self.ids.values())


def run(plan: Plan, data_dir: Path) -> Outcome:
    """Run the failures, wait for the drain, and audit; takes about 1.3 s for each kill."""
    url = plan.database_url or f"sqlite:///{data_dir / 'devenviro.sqlite3'}"
    started = time.monotonic()
    with FakeSentry(latency_s=LATENCY_S) as fake, contextlib.closing(_Store(url)) as store:
        settings = SETTINGS | {"SENTRY_DSN": fake.dsn(), "DATABASE_URL": url}
        processes = Processes(data_dir, **settings)
        try:
            processes.wait_ready()
            door = second_door.open_project(data_dir, store, fake.dsn(43), **settings)
            with ChangingUpstream(fake, plan.seed, plan.once, plan.mood_s) as changing:
                answered = _attack(plan, processes, door, changing)
            wait_for(lambda: _is_drained(store, answered, data_dir), DRAINED_WITHIN_S)
        finally:
            processes.stop()
        seconds = time.monotonic() - started
        return _look(fake, store, answered, processes.kills, seconds, len(changing.met))


class _Store(Store):
    close = Store.dispose


def _attack(
    plan: Plan, processes: Processes, door: str | None, changing: ChangingUpstream
) -> _Answered:
    """Call and kill until there are enough events and kills, and every mood has occurred."""
    answered, enough, ended = _Answered({"door 1": []}), threading.Event(), threading.Event()
    doors: dict[str, Callable[[int], str | None]] = {
        "door 1": lambda number: _own_error(processes, number)
    }
    if door is not None:
        doors["door 2"] = lambda number: second_door.report(
            processes.server.url + door, number % BUGS, number
        )
    answered.ids |= {name: [] for name in doors}
    threads = [
        threading.Thread(target=_call, args=(way, answered.ids[name], first, enough))
        for name, way in doors.items()
        for first in range(CALLERS_AT_EACH_DOOR)
    ]
    killer = threading.Thread(target=processes.kill_at_random, args=(plan.kills, plan.seed, ended))
    for thread in (*threads, killer):
        thread.start()
    try:
        while killer.is_alive() or answered.count() < plan.events or not changing.rounds:
            _progress(f"{answered.count()} events, {len(processes.kills)} kills")
            time.sleep(0.2)
    finally:
        enough.set()
        ended.set()
        for thread in (*threads, killer):
            thread.join()
    return answered


def _call(
    way: Callable[[int], str | None], ids: list[str], first: int, enough: threading.Event
) -> None:
    number = first
    while not enough.wait(PACE_S):
        # If a dying server cut the connection, the event may be stored or not. Only answers count.
        with contextlib.suppress(urllib3.exceptions.HTTPError, ValueError):
            event_id = way(number)
            ids += [event_id] if event_id else []
        number += CALLERS_AT_EACH_DOOR


def _own_error(processes: Processes, number: int) -> str | None:
    body = {"error_type": "exception", "message": f"order {number} has no price"}
    answer = http.request("POST", f"{processes.server.url}/test-error", json=body, timeout=20)
    return str(answer.json()["event_id"]) if answer.status == 500 else None


def _is_drained(store: Store, answered: _Answered, data_dir: Path) -> bool:
    with contextlib.suppress(StoreError), store.read() as conn:
        counted = accounting.accounting(conn)
        _progress(f"{counted['pending'] + counted['retry']} wait")
        stored = set(conn.scalars(select(envelopes.c.event_id)))
        ids = {event_id for ids in answered.ids.values() for event_id in ids}
        set_aside = any((data_dir / "emergency").glob("*"))
        return not outbox.projects_with_outbox(conn) and (ids <= stored or not set_aside)
    return False


def _look(
    fake: FakeSentry,
    store: Store,
    answered: _Answered,
    kills: list[float],
    seconds: float,
    moods: int,
) -> Outcome:
    with store.read() as conn:
        rows = conn.execute(
            select(envelopes.c.event_id, envelopes.c.reason).where(
                envelopes.c.state == "parked", envelopes.c.reason.is_not(None)
            )
        ).all()
        sums = accounting.accounting(conn)
    ids = [event_id for door in answered.ids.values() for event_id in door]
    return Outcome(
        answered={door: len(found) for door, found in answered.ids.items()},
        arrived=len(set(fake.event_ids()) & set(ids)),
        explained=by_reason(row.reason for row in rows),
        lost=missing(ids, fake.event_ids(), (row.event_id for row in rows)),
        repeats=repeats_of(fake.record(), kills),
        kills=len(kills),
        overlaps=len(overlaps_without_kill(fake.requests(), kills)),
        accounting=sums,
        seconds=seconds,
        moods=moods,
    )


def report(outcome: Outcome) -> bool:
    """Print the result; return whether every limit was kept."""
    repeats = outcome.repeats
    print(f"  {outcome.seconds:.0f} s, {outcome.moods} moods, fake {LATENCY_S * 1000:.0f} ms away")
    for door, count in outcome.answered.items():
        print(f"  {door}: {count} events answered for")
    print(f"  {outcome.arrived} of them arrived, parked: {outcome.explained}, lost: ", end="")
    print(
        f"{len(outcome.lost)}\n  sent twice: {repeats.by_kill.total()} by {outcome.kills} kills"
        f" (allowed {outcome.kills * OPEN}; the worst one {worst_kill(repeats)}, allowed"
        f" {OPEN}), {repeats.by_upstream} because the upstream did not say so,"
        f" {len(repeats.unexplained)} without a cause"
    )
    print(f"  books: {outcome.accounting}")
    for text in outcome.wrong():
        print(f"  WRONG  {text}")
    return not outcome.wrong()


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r    {text}    ", end="", flush=True)


def main() -> int:
    """Run with the options of the command line; return 1 if a limit was broken."""
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos_run", description=__doc__)
    parser.add_argument("--events", type=int, default=default.events, help="(%(default)s)")
    parser.add_argument("--kills", type=int, default=default.kills, help="SIGKILLs (%(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="(%(default)s)")
    parser.add_argument("--database-url", help="an empty database; default a SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        outcome = run(Plan(**vars(options)), Path(folder) / "data")
    return 0 if report(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
