"""The CPU and the memory that a process takes to start, with the settings of production.

Seconds depend on the machine, so each is also compared with `import flask` in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.goals import Figure, run_alone
from benchmarks.service import PRODUCTION, Service
from config import ROOT
from tests.server_process import settings

ROUNDS, EVENTS = 5, 1000
# Half and a third of the CPU that the start took before this was measured.
GOALS = (4.3, 3.1)
COMMANDS = {
    "import flask": ["-c", "import flask"],
    "boot": ["-c", "import wsgi"],
    "flask project list": ["-m", "flask", "--app", "wsgi", "project", "list"],
}


def measure() -> Iterator[Figure]:
    """Start each of the commands in turns, then a web process that accepts events."""
    with tempfile.TemporaryDirectory() as folder:
        environ = settings(Path(folder) / "data") | PRODUCTION
        # The first round makes the store and the bytecode.
        rounds = [_round(environ) for _ in range(1 + ROUNDS)][1:]
    for name in COMMANDS:
        yield Figure(f"{name}, CPU s", statistics.median(one[name] for one in rounds))
    for name in ("boot", "flask project list"):
        ratio = statistics.median(one[name] / one["import flask"] for one in rounds)
        yield Figure(f"{name} ÷ import flask", ratio, *GOALS)
    yield Figure(f"memory of a web process after {EVENTS:,} events, MiB", _rss_mib(), 120, 100)


def _round(environ: dict[str, str]) -> dict[str, float]:
    return {name: _cpu_s(arguments, environ) for name, arguments in COMMANDS.items()}


def _cpu_s(arguments: list[str], environ: dict[str, str]) -> float:
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime


def _rss_mib() -> float:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        service = Service(Path(folder), processes=1)
        try:
            service.send(EVENTS)
            return service.rss_mib()
        finally:
            service.stop()


if __name__ == "__main__":
    run_alone(__doc__, measure)
