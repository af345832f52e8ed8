"""The instructions of an accepted event, counted by callgrind: independent of a busy machine.

One process without a server calls the application. For batches of sixteen, sixteen threads send
while the store's writer lock is held, so that their events share a commit. The counts are compared
with those of the commit that began the comparison, on the same Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.envelopes import envelopes
from benchmarks.goals import Figure, run_alone
from benchmarks.service import BUGS, PRODUCTION
from config import ROOT
from tests.server_process import settings

# Millions of instructions of an event, by size of the batch, at commit 492524a with Python 3.11.
BEFORE = {1: 16.1, 16: 12.7}
WARM, COUNTED = 2 * BUGS, 160


def measure() -> Iterator[Figure]:
    """Count for each size of batch; yield nothing where valgrind is missing."""
    if shutil.which("valgrind") is None:
        print("  valgrind is not installed: no instructions are counted")
        return
    for size, before in BEFORE.items():
        millions = _counted(size) / COUNTED / 1e6
        yield Figure(f"millions of instructions of an event, batch of {size}", millions)
        ratio = millions / before
        yield Figure(f"instructions, batch of {size}, ÷ before", ratio, 0.65, 0.45)


def _counted(size: int) -> int:
    """Return the instructions of all counted events."""
    with tempfile.TemporaryDirectory() as folder:
        # Without instrumentation until the warm process says so, which is ten times as fast.
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        command += [
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-m",
            "benchmarks.instructions",
        ]
        environ = settings(Path(folder) / "data") | PRODUCTION | {"PYTHONHASHSEED": "0"}
        process = subprocess.Popen(
            [*command, str(size)],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        for switch in ("on", "off"):
            assert process.stdout.readline() == "ready\n", "the counted process ended"
            control = ["callgrind_control", f"--instr={switch}", str(process.pid)]
            subprocess.run(control, check=True, capture_output=True)
            print("go", file=process.stdin, flush=True)
        process.wait(300)
        totals = re.search(r"^totals: (\d+)", Path(folder, "out").read_text(), re.MULTILINE)
        assert totals is not None
        return int(totals[1])


def be_counted(size: int) -> None:
    """Accept events in batches of this size; a line on stdin starts and ends the counting."""
    from app import create_app
    from app.projects import create_project

    app = create_app()
    store = app.extensions["devenviro.store"]
    project = create_project(store, "shop")
    path = f"/api/{project.id}/envelope/?sentry_key={project.keys[0]}"
    environs = [_environ(path, body) for _, body in envelopes(WARM + COUNTED, BUGS, "gzip")]
    for part in (environs[:WARM], environs[WARM:]):
        for start in range(0, len(part), size):
            _accept(app, store, part[start : start + size])
        print("ready", flush=True)
        sys.stdin.readline()
    os._exit(0)


def _environ(path: str, body: bytes) -> dict[str, Any]:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-sentry-envelope"}
    builder = EnvironBuilder(path, method="POST", input_stream=BytesIO(body), headers=headers)
    return {**builder.get_environ(), "CONTENT_LENGTH": str(len(body))}


def _accept(app: Any, store: Any, environs: list[dict[str, Any]]) -> None:
    if len(environs) == 1:
        return _answer(app, environs[0])
    senders = [threading.Thread(target=_answer, args=(app, one)) for one in environs]
    with store._writers:
        for sender in senders:
            sender.start()
        # The last one waits for the lock or for the leader when all are prepared.
        _wait_until_waiting(app, len(senders))
    for sender in senders:
        sender.join()


def _wait_until_waiting(app: Any, count: int) -> None:
    waiting = app.extensions["devenviro.intake"]._committer
    while len(waiting._waiting) < count:
        time.sleep(0.05)


def _answer(app: Any, environ: dict[str, Any]) -> None:
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status.startswith("200"), (status, list(body))


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():
        be_counted(int(sys.argv[1]))
    run_alone(__doc__, measure)
