"""What insights cost: a request of the application, and a transaction that comes to the door.

    python -m benchmarks.insights

Two services of one worker each, one that counts and one that does not, take turns; the median of
their ratios in CPU, as the two of one round meet the same noise.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from app.db import Store
from app.projects import create_project
from benchmarks.envelopes import envelope_of, transaction_of
from benchmarks.requests import cpu_s, load, ratio
from tests.serving import Server

ROUNDS = 15
REQUESTS = 2000
ENVELOPES = 600
# As many wait for one transaction of the store as threads serve them.
CONNECTIONS = 8
# The buffer's second, so that what it writes is counted.
SETTLE_S = 1.5
LIMIT = 1.05


class Side:
    """A service, and the CPU in microseconds that each round's requests and envelopes took."""

    def __init__(self, folder: Path, insights: str) -> None:
        self.server = Server(
            folder / insights,
            app="benchmarks.bench_app:app",
            WEB_CONCURRENCY="1",
            SENTRY_DSN="",
            BENCH_INSIGHTS=insights,
            # By default a worker is replaced after so many that the rounds would see it.
            GUNICORN_CMD_ARGS="--max-requests 0",
        )
        self.server.wait_ready()
        store = Store(f"sqlite:///{folder / insights / 'devenviro.sqlite3'}")
        project = create_project(store, "shop")
        store.dispose()
        self._door = f"/api/{project.id}/envelope/?sentry_key={project.keys[0]}"
        self._worker = self.server.workers()[0]
        self.requests_us: list[float] = []
        self.envelopes_us: list[float] = []

    def ask(self) -> None:
        """Have the cheapest request answered, many times."""
        before = cpu_s(self._worker)
        load(self.server.port, "/bench/fine", count=REQUESTS)
        self.requests_us.append(self._since(before) / REQUESTS)

    def send(self) -> None:
        """Send transactions."""
        bodies = [envelope_of(transaction_of(number)) for number in range(ENVELOPES)]
        before = cpu_s(self._worker)
        load(self.server.port, self._door, bodies=bodies, clients=CONNECTIONS)
        self.envelopes_us.append(self._since(before) / ENVELOPES)

    def _since(self, before: float) -> float:
        time.sleep(SETTLE_S)
        return (cpu_s(self._worker) - before) * 1e6


def main() -> bool:
    """Measure and print; return whether the goal is met."""
    with tempfile.TemporaryDirectory() as folder:
        on, off = Side(Path(folder), "on"), Side(Path(folder), "off")
        try:
            for number in range(ROUNDS + 1):
                print(f"  round {number} of {ROUNDS}", flush=True)
                sides = (on, off) if number % 2 else (off, on)
                for side in sides:
                    side.ask()
                for side in sides:
                    side.send()
        finally:
            on.server.stop()
            off.server.stop()
    # The first round warms both up.
    request = ratio(on.requests_us[1:], off.requests_us[1:])
    envelope = ratio(on.envelopes_us[1:], off.envelopes_us[1:])
    met = request <= LIMIT
    print(
        f"\n  a request takes {statistics.median(on.requests_us[1:]):.0f} us of CPU, a transaction"
        f" at the door {statistics.median(on.envelopes_us[1:]):.0f} us\n"
        f"  {'met   ' if met else 'MISSED'}  counting makes the request {request:.3f} times as dear"
        f" (at most {LIMIT})\n          and the transaction {envelope:.3f} times"
    )
    return met


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
