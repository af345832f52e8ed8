"""The cost of a request with our capture, with the default SDK, and without an SDK.

Each uses one worker, the same application, the same rates and a fake Sentry on loopback. The rounds
are interleaved, and the median of their ratios is used, because machines are noisy.
"""

from __future__ import annotations

import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.goals import Figure, run_alone
from tests.mini_sentry import MiniSentry
from tests.server_process import Server

MODES = ("none", "sdk", "ours")
ROUNDS = 5
FINE_REQUESTS = 2000
RAISE_S = 3.0
CLIENTS = 4
# Time for the asynchronous parts (senders, buffers) to finish, so that their work is measured.
SETTLE_S = 2.5


@dataclass
class Figures:
    """The values of all rounds in one mode."""

    fine_cpu_us: list[float] = field(default_factory=list)
    raising_per_s: list[float] = field(default_factory=list)
    raised: int = 0
    kept: int = 0
    arrived: int = 0
    rss_mib: float = 0.0


def measure() -> Iterator[Figure]:
    """Measure the three modes in turns."""
    figures = {mode: Figures() for mode in MODES}
    for _ in range(ROUNDS):
        for mode in MODES:
            _measure(mode, figures[mode])
    yield from _report(figures)


def _measure(mode: str, figures: Figures) -> None:
    with MiniSentry() as sentry, tempfile.TemporaryDirectory() as folder:
        server = Server(
            Path(folder) / "data",
            app="benchmarks.bench_app:app",
            BENCH_MODE=mode,
            SENTRY_DSN=sentry.dsn,
            SENTRY_TRACES_SAMPLE_RATE="0.1",
            SENTRY_PROFILES_SAMPLE_RATE="0.1",
            WEB_CONCURRENCY="1",
        )
        try:
            server.wait_ready()
            _load(server.port, "/bench/fine", count=200)
            worker = server.workers()[0]
            time.sleep(SETTLE_S)
            before = _cpu_s(worker)
            _load(server.port, "/bench/fine", count=FINE_REQUESTS)
            time.sleep(SETTLE_S)
            figures.fine_cpu_us.append((_cpu_s(worker) - before) / FINE_REQUESTS * 1e6)
            raised, seconds = raise_errors(server.port, RAISE_S)
            figures.raising_per_s.append(raised / seconds)
            figures.raised += raised
            time.sleep(SETTLE_S)
            figures.rss_mib = max(figures.rss_mib, worker.memory_info().rss / 2**20)
            figures.kept += server.get("/system/status")["store"]["events"]
        finally:
            server.stop()
        figures.arrived += len(sentry.events())


def raise_errors(port: int, seconds: float, clients: int = CLIENTS) -> tuple[int, float]:
    """Request the raising route for some seconds; return the number of answers and the seconds."""
    return _load(port, "/bench/raises", seconds=seconds, clients=clients)


def _load(
    port: int, path: str, *, count: int = 0, seconds: float = 0.0, clients: int = CLIENTS
) -> tuple[int, float]:
    """Send requests on several connections; return the number of answers and the seconds."""
    done = [0] * clients
    started = time.monotonic()

    def ask(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while done[client] < count / clients if count else time.monotonic() - started < seconds:
            connection.request("GET", path)
            connection.getresponse().read()
            done[client] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done), time.monotonic() - started


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the rounds' ratios; both values of a round had the same noise."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _report(figures: dict[str, Figures]) -> Iterator[Figure]:
    ours, sdk = figures["ours"], figures["sdk"]
    cpu = _ratio(ours.fine_cpu_us, sdk.fine_cpu_us)
    yield Figure("CPU of a request ÷ with the SDK as it comes", cpu, 1.0, 0.9)
    rate = _ratio(ours.raising_per_s, sdk.raising_per_s)
    yield Figure("rate of a raising route ÷ with it", rate, 0.8, more_is_better=True)
    yield Figure("errors that were not kept", ours.raised - ours.kept, 0)
    yield Figure("memory of a process, MiB", ours.rss_mib, 120)
    for mode, found in figures.items():
        yield Figure(f"CPU of a request, us: {mode}", statistics.median(found.fine_cpu_us))
        yield Figure(f"errors that arrived: {mode}", found.arrived)


if __name__ == "__main__":
    run_alone(__doc__, measure)
