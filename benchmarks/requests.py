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
from dataclasses import dataclass, field
from pathlib import Path

import psutil

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


def main() -> bool:
    """Measure and print; return whether the goals are met."""
    figures = {mode: Figures() for mode in MODES}
    for round_ in range(ROUNDS):
        for mode in MODES:
            print(f"  round {round_ + 1} of {ROUNDS}: {mode}", flush=True)
            _measure(mode, figures[mode])
    return _report(figures)


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


def _report(figures: dict[str, Figures]) -> bool:
    print("\n  mode      CPU us/request   errors/s   raised    kept   arrived   RSS MiB")
    for mode, found in figures.items():
        cpu, rate = statistics.median(found.fine_cpu_us), statistics.median(found.raising_per_s)
        print(
            f"  {mode:8} {cpu:15.0f} {rate:10.0f} {found.raised:8} {found.kept:7}"
            f" {found.arrived:9} {found.rss_mib:9.0f}"
        )
    ours, sdk = figures["ours"], figures["sdk"]
    cpu = _ratio(ours.fine_cpu_us, sdk.fine_cpu_us)
    rate = _ratio(ours.raising_per_s, sdk.raising_per_s)
    goals = {
        f"a successful request costs {cpu:.2f} of the CPU it has with the SDK as it comes"
        " (at most 1)": cpu <= 1.0,
        f"a raising route reaches {rate:.2f} of the rate it has with it (at least 0.8)": rate
        >= 0.8,
        f"of {ours.raised} errors {ours.kept} are kept (all)": ours.kept == ours.raised,
        f"one process takes {ours.rss_mib:.0f} MiB (at most 120)": ours.rss_mib <= 120,
    }
    for text, met in goals.items():
        print(f"  {'met   ' if met else 'MISSED'}  {text}")
    return all(goals.values())
