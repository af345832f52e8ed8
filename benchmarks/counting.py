"""The cost of counting: the bytes of each project, and the default quota of its keys.

    python -m benchmarks.counting

Ordinary errors of 16 KB of three projects go through the intake in batches, since envelopes that
arrive together share a commit. They are read, scrubbed, grouped, packed and committed. The CPU of
the thread is measured for all of it and for the two functions that count. The printed number is the
share of these functions, the median of several rounds. Goal: at most 1 and 2 % in batches of
twenty, the usual size in a busy service. There is no goal for batches of one: each function
executes a statement for a single envelope there.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from app.intake import Intake, commit
from app.intake.emergency import EmergencyFolder
from app.projects import create_project
from app.protocol.envelope import parse_envelope
from app.protocol.scrub import Scrubber
from app.store import Store
from benchmarks.envelopes import envelopes
from benchmarks.goals import Figure, run_alone

PROJECTS, BUGS, QUOTA = 3, 50, 60_000
ROUNDS, COMMITS = 5, 30
SIZES = (1, 20)
COUNTERS = {"bytes of projects": "_count_bytes", "quotas": "within_quotas"}
# The statement of the quota returns rows: 0.97 to 1.20 % on a busy machine.
MAX_SHARES = {"bytes of projects": 0.01, "quotas": 0.02}


class Clock:
    """CPU time of this thread in nanoseconds, by the name of a function."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def measured(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a measurement around it."""

        def call(*arguments: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return function(*arguments)
            finally:
                self.spent[name] += time.thread_time_ns() - began

        return call


def measure() -> Iterator[Figure]:
    """Measure batches of both sizes."""
    for size in SIZES:
        shares = [_round(size) for _ in range(ROUNDS)]
        for name, must in MAX_SHARES.items():
            share = statistics.median(one[name] for one in shares)
            goal = must if size == max(SIZES) else None
            yield Figure(f"{name}, batches of {size}, share", share, goal)


def _round(size: int) -> dict[str, float]:
    clock = Clock()
    with _intake() as (intake, keys), ExitStack() as stack:
        for name, function in COUNTERS.items():
            whole = getattr(commit, function)
            stack.enter_context(patch.object(commit, function, clock.measured(name, whole)))
        bodies = [body for _, body in envelopes(size * COMMITS, BUGS, "identity")]
        began = time.thread_time_ns()
        for number in range(COMMITS):
            some = bodies[number * size : (number + 1) * size]
            batch = [
                intake.prepare(parse_envelope(body), project_id=keys[n % len(keys)], quota=QUOTA)
                for n, body in enumerate(some, number)
            ]
            intake._commit(partial(list, batch), 5.0)
        whole_ns = time.thread_time_ns() - began
    return {name: clock.spent[name] / whole_ns for name in COUNTERS}


@contextmanager
def _intake() -> Iterator[tuple[Intake, list[int]]]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'store.sqlite3'}")
        store.open()
        keys = [create_project(store, f"Shop {n}", n).id for n in range(2, PROJECTS + 2)]
        intake = Intake(store, EmergencyFolder(Path(folder) / "emergency"), Scrubber())
        try:
            yield intake, keys
        finally:
            intake.close()
            store.dispose()


if __name__ == "__main__":
    run_alone(__doc__, measure)
