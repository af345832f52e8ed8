"""The processes of a service under attack: two web processes with a master, and one worker.

A killed process is started again at once, as a process manager would do.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from pathlib import Path

import psutil

from tests.server_process import Server, WorkerProcess

# A worker takes two seconds to boot. Kills must hit every phase of its life.
BETWEEN_KILLS_S = (0.1, 2.0)
# Orphans notice within a second that their master is gone, finish their answers and end.
ORPHANS_END_S = 15


class Processes:
    """A server and a worker on one store.

    :param settings: of both, by the names of environment variables.
    """

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self._data_dir = data_dir
        self._settings = {"WEB_CONCURRENCY": "2", **settings}
        self.server = Server(data_dir, **self._settings)
        self._worker = WorkerProcess(data_dir, **self._settings)
        # The times of all kills, as of time.time().
        self.kills: list[float] = []

    def wait_ready(self) -> None:
        self.server.wait_ready()

    def stop(self) -> None:
        self.server.stop()
        self._worker.stop()

    def kill_at_random(self, times: int, seed: int, ended: threading.Event) -> None:
        """Send SIGKILL to ``times`` processes, one after the other, at random times."""
        chance = random.Random(seed)
        ways = (self._kill_web_worker, self._kill_web_worker, self._kill_master, self._kill_worker)
        while len(self.kills) < times and not ended.wait(chance.uniform(*BETWEEN_KILLS_S)):
            chance.choice(ways)(chance)

    def _kill_web_worker(self, chance: random.Random) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            self._kill(chance.choice(self.server.workers()))

    def _kill_master(self, chance: random.Random) -> None:
        orphans = self.server.workers()
        self._kill(psutil.Process(self.server.process.pid))
        self.server.process.wait(10)
        _, left = psutil.wait_procs(orphans, ORPHANS_END_S)
        for orphan in left:
            self._kill(orphan)
        psutil.wait_procs(left, 10)
        self.server = Server(self._data_dir, port=self.server.port, **self._settings)

    def _kill_worker(self, chance: random.Random) -> None:
        self._kill(psutil.Process(self._worker.process.pid))
        self._worker.process.wait(10)
        self._worker = WorkerProcess(self._data_dir, **self._settings)

    def _kill(self, process: psutil.Process) -> None:
        process.send_signal(signal.SIGKILL)
        self.kills.append(time.time())
