"""The instructions of an accepted event, counted by callgrind: independent of a busy machine.

One process without a server calls what answers the batches of the event loop. The counts are
compared with those of the commit that began the comparison, on the same Python. That commit had no
batches: one thread called the application, or sixteen threads shared a commit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    from app.ingest.direct import DirectDoor
    from app.projects import create_project
    from app.server.batches import Complete

    app = create_app()
    project = create_project(app.extensions["devenviro.store"], "shop")
    place = f"/api/{project.id}/envelope/", f"sentry_key={project.keys[0]}"
    headers = {"CONTENT-ENCODING": "gzip", "CONTENT-TYPE": "application/x-sentry-envelope"}
    bodies = [body for _, body in envelopes(WARM + COUNTED, BUGS, "gzip")]
    requests = [Complete(*place, headers, body, "127.0.0.1") for body in bodies]
    door = DirectDoor(app)
    for part in (requests[:WARM], requests[WARM:]):
        for start in range(0, len(part), size):
            answers = door.answer(part[start : start + size])
            assert all(answer and answer.status == "200 OK" for answer in answers), answers
        print("ready", flush=True)
        sys.stdin.readline()
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():
        be_counted(int(sys.argv[1]))
    run_alone(__doc__, measure)
