"""The cost of an accepted event, relative to the bare handler (`benchmarks/bare.py`).

Two web processes with the settings of production and 16 connections are used. Events of 16 KB of
200 bugs go to a project without a destination: they are stored durably, scrubbed, grouped and
visible. The bare handler gets the same requests. Both alternate within one run, since machines are
noisy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app.store.size import size_bytes
from benchmarks.bare import BareServer
from benchmarks.envelopes import SHAPES
from benchmarks.goals import Figure, printed
from benchmarks.service import BUGS, Service, cpu_s, send

EVENTS, ROUNDS, FILLED = 2000, 3, 200_000
VISIBLE_TRIES = 50


@dataclass(frozen=True)
class Cost:
    """What the events of a round cost one of the two sides."""

    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


def measure(
    shape: str = "ordinary", filled: int = 0, count: int = EVENTS, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """Measure the service and the bare handler in turns.

    :param shape: of the events, one of ``SHAPES``.
    :param filled: how many events the store has at the start.
    :param count: how many events are sent in a round.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bare, service = BareServer(Path(folder)), Service(Path(folder), filled=filled)
        try:
            # Every process has read its modules, and every bug has its issue.
            service.send(4 * BUGS, shape)
            size, accepted = size_bytes(service.store), service.accepted
            pairs = [_round(service, bare, count, shape) for _ in range(rounds)]
            yield from _ratios(pairs)
            grown = size_bytes(service.store) - size
            size_kb = grown / (service.accepted - accepted) / 1024
            yield Figure("KB of disk an event", size_kb, 4 if shape == "ordinary" else None)
            yield from _checks(service, shape)
        finally:
            service.stop()
            bare.stop()


def _round(service: Service, bare: BareServer, count: int, shape: str) -> tuple[Cost, Cost]:
    workers = bare.processes()[1:]
    bare_cost = cost(workers, count, lambda: send(f"{bare.url}?", count, shape))
    return bare_cost, cost(service.server.workers(), count, lambda: service.send(count, shape))


def cost(workers: list[psutil.Process], count: int, work: Callable[[], dict[str, Any]]) -> Cost:
    """Return the cost of sending events to these processes."""
    before = cpu_s(workers)
    answers = work()
    cpu_ms = (cpu_s(workers) - before) / count * 1000
    waits = answers["latency_ms"]
    return Cost(count / answers["seconds"], cpu_ms, waits["p50"], waits["p99"])


def _ratios(pairs: list[tuple[Cost, Cost]]) -> Iterator[Figure]:
    def of(ratio: Callable[[Cost, Cost], float]) -> float:
        return statistics.median(ratio(bare, event) for bare, event in pairs)

    rate = of(lambda bare, event: event.per_s / bare.per_s)
    yield Figure("events a second ÷ bare handler", rate, 0.20, 0.30, more_is_better=True)
    cpu = of(lambda bare, event: bare.cpu_ms / event.cpu_ms)
    yield Figure("CPU of a bare request ÷ CPU of an event", cpu, 0.22, 0.33, more_is_better=True)
    yield Figure("p50 ÷ bare handler's", of(lambda bare, event: event.p50_ms / bare.p50_ms), 5, 3.5)
    yield Figure("p99 ÷ bare handler's", of(lambda bare, event: event.p99_ms / bare.p99_ms), 4, 3)
    yield Figure("events a second", of(lambda _, event: event.per_s))
    yield Figure("CPU of an event, ms", of(lambda _, event: event.cpu_ms))
    yield Figure("CPU of a bare request, ms", of(lambda bare, _: bare.cpu_ms))


def _checks(service: Service, shape: str) -> Iterator[Figure]:
    """Yield the milliseconds until an event is visible, and what must be zero."""
    visible = [service.visible_ms(shape) for _ in range(VISIBLE_TRIES)]
    yield Figure("sent until visible, ms (median)", statistics.median(visible))
    events, issues = service.stored()
    yield Figure("accepted events that are not in the store", service.accepted - events, 0)
    yield Figure(f"issues of {BUGS} bugs", issues, BUGS)
    balanced = service.get("/system/status")["accounting"]["balanced"]
    yield Figure("envelopes are missing in the accounting", int(not balanced), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    say = parser.add_argument
    say("--shape", choices=SHAPES, default="ordinary", help="of the events (%(default)s)")
    say("--filled", type=int, default=0, help="events in the store at the start (%(default)s)")
    say("--count", type=int, default=EVENTS, help="events in a round (%(default)s)")
    say("--rounds", type=int, default=ROUNDS, help="of both sides (%(default)s)")
    sys.exit(not all([f.is_met for f in printed(measure(**vars(parser.parse_args())))]))
