"""The CPU of the pages that people open most, relative to a bare request.

The service runs as in production, and has events of 200 issues with 14 frames each. A logged-in
person opens each page again and again, in turns with requests to the bare handler.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare import BareServer
from benchmarks.goals import Figure, run_alone
from benchmarks.service import Service, cpu_s, send
from tests.person import Person

EVENTS, BARE_REQUESTS, PAGE_REQUESTS, ROUNDS = 1000, 2000, 60, 3
GOALS = {"issue list": (10, 6), "issue page": (20, 12), "event page": (12, 8)}


def measure() -> Iterator[Figure]:
    """Measure the pages and the bare handler in turns."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bare, service = BareServer(Path(folder)), Service(Path(folder), filled=EVENTS)
        try:
            person, paths = Person(service.server.url), _paths(service)
            rounds = [_round(bare, service, person, paths) for _ in range(1 + ROUNDS)][1:]
        finally:
            service.stop()
            bare.stop()
    for page, (must, aim) in GOALS.items():
        ratio = statistics.median(cost[page] / cost["bare"] for cost in rounds)
        yield Figure(f"{page} ÷ bare request", ratio, must, aim)
    for page in ("bare", *GOALS):
        yield Figure(f"{page}, ms of CPU", statistics.median(cost[page] for cost in rounds))


def _paths(service: Service) -> dict[str, str]:
    event = service.get("/api/events?limit=1")["events"][0]
    return {
        "issue list": "/admin/issues",
        "issue page": f"/admin/issues/{event['issue_id']}",
        "event page": f"/admin/events/{event['event_id']}",
    }


def _round(
    bare: BareServer, service: Service, person: Person, paths: dict[str, str]
) -> dict[str, float]:
    """Return the CPU milliseconds of a bare request and of each page."""
    before = cpu_s(bare.processes()[1:])
    send(f"{bare.url}?", BARE_REQUESTS)
    costs = {"bare": (cpu_s(bare.processes()[1:]) - before) / BARE_REQUESTS * 1000}
    workers = service.server.workers()
    for page, path in paths.items():
        before = cpu_s(workers)
        for _ in range(PAGE_REQUESTS):
            person.get(path)
        costs[page] = (cpu_s(workers) - before) / PAGE_REQUESTS * 1000
    return costs


if __name__ == "__main__":
    run_alone(__doc__, measure)
