"""Processes of this application that tests start, query, kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import urllib3

from config import ROOT

http = urllib3.PoolManager(retries=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(data_dir: Path) -> dict[str, str]:
    """Return the environment of a process that needs no other service on the machine."""
    return {
        **os.environ,
        "ENVIRONMENT": "development",
        "SENTRY_DEBUG": "false",
        "SENTRY_TRACES_SAMPLE_RATE": "0",
        "DATA_DIR": str(data_dir),
        "ADMIN_PASSWORD": "correct-horse-battery",
        "API_TOKEN": "t" * 20,
        "HOME": str(data_dir.parent),
    }


class Server:
    """A gunicorn of this application on its own port.

    :param prefix: a command that runs it, such as a command that removes privileges.
    :param port: of an earlier server that it replaces; by default a free port.
    :param environ: settings, added to those of :func:`settings`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        prefix: Sequence[str] = (),
        app: str = "wsgi:app",
        port: int | None = None,
        **environ: str,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "gunicorn", app],
                cwd=ROOT,
                env=settings(data_dir) | {"API_PORT": str(self.port)} | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_answering(self) -> None:
        """Wait until a worker answers."""
        wait_for(lambda: self._status("/health/live") == 200)

    def _status(self, path: str) -> int:
        try:
            return http.request("GET", f"{self.url}{path}", timeout=5).status
        except urllib3.exceptions.HTTPError:
            return 0

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until the service is ready; fail with the log if it ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._status("/health/ready") == 200:
                return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def test_error(self, message: str) -> urllib3.BaseHTTPResponse:
        body = {"error_type": "exception", "message": message}
        return http.request("POST", f"{self.url}/test-error", json=body, timeout=20)

    def get(self, path: str) -> Any:
        """Return the JSON answer of a path."""
        return http.request("GET", f"{self.url}{path}", timeout=20).json()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def event_titles(self) -> list[str]:
        return [event["title"] for event in self.get("/api/events?limit=1000")["events"]]

    def kill_all(self) -> None:
        """SIGKILL the master and every worker at once."""
        family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        for member in family:
            member.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


class WorkerProcess:
    """A ``flask worker`` of this application; it starts when the object is made.

    :param environ: settings, as for :class:`Server`.
    """

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}-worker.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
                cwd=ROOT,
                env=settings(data_dir) | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@contextmanager
def serving(data_dir: Path, **options: Any) -> Iterator[Server]:
    """Start a server, wait until it is ready, and stop it at the end."""
    server = Server(data_dir, **options)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def without_override() -> tuple[str, ...] | None:
    """Return a prefix that makes file modes apply to root too; ``None`` if there is none."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        return None
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


def make_read_only(server: Server, data_dir: Path) -> None:
    """Remove the right to write the store, and replace a worker."""
    (data_dir / "emergency").mkdir(exist_ok=True)
    for path in (data_dir, *data_dir.glob("devenviro.sqlite3*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Open files stay writable, so an old worker could still write.
    old = server.workers()[0]
    old.terminate()
    wait_for(lambda: old.pid not in [worker.pid for worker in server.workers()])
    server.wait_answering()


def make_writable(data_dir: Path) -> None:
    """Restore the right to write the store."""
    for path in (data_dir, *data_dir.glob("devenviro.sqlite3*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
