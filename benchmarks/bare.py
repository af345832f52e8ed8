"""The bare handler: Flask alone, which reads a body and answers. Everything is compared with it.

It is frozen, so that figures of different commits can be compared: two stock gthread processes with
eight threads each and no access log, whatever the service itself uses.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
from flask import Flask, request

from benchmarks.usage import only_help
from config import ROOT
from tests.server_process import free_port, http, wait_for

PROCESSES, THREADS = 2, 8

app = Flask(__name__)


@app.post("/envelope")
def only_reads() -> dict[str, int]:
    """Read the body of a request, and do nothing else."""
    return {"bytes": len(request.get_data())}


class BareServer:
    """A running bare handler.

    :param folder: where its log is written.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/envelope"
        options = f"--bind 127.0.0.1:{self.port} --workers {PROCESSES} --threads {THREADS}"
        # An empty file: otherwise gunicorn reads the settings of this project.
        command = [sys.executable, "-m", "gunicorn", "--config", os.devnull, "-k", "gthread"]
        with (folder / "bare.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options.split(), "benchmarks.bare:app"],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            return http.request("POST", self.url, body=b"{}", timeout=5).status == 200
        except Exception:
            return False

    def processes(self) -> list[psutil.Process]:
        """Return the master and its workers."""
        master = psutil.Process(self.process.pid)
        return [master, *master.children()]

    def stop(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(20)


if __name__ == "__main__":
    only_help(__doc__)
