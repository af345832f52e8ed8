"""The real thing: gunicorn, its workers, and what happens when they are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import urllib3

from config import ROOT

http = urllib3.PoolManager(retries=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A gunicorn of this application on a port of its own."""

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        settings = {
            "ENVIRONMENT": "development",
            "SENTRY_DEBUG": "false",
            "SENTRY_TRACES_SAMPLE_RATE": "0",
            "DATA_DIR": str(data_dir),
            "API_PORT": str(self.port),
            "ADMIN_PASSWORD": "correct-horse-battery",
            "API_TOKEN": "t" * 20,
            "HOME": str(data_dir.parent),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"],
                cwd=ROOT,
                env={**os.environ, **settings, **environ},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if http.request("GET", f"{self.url}/health/ready", timeout=5).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def test_error(self, message: str) -> urllib3.BaseHTTPResponse:
        body = {"error_type": "exception", "message": message}
        return http.request("POST", f"{self.url}/test-error", json=body, timeout=20)

    def event_titles(self) -> list[str]:
        answer = http.request("GET", f"{self.url}/api/events?limit=1000", timeout=20)
        return [event["title"] for event in answer.json()["events"]]

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


@contextmanager
def serving(data_dir: Path, **environ: str) -> Iterator[Server]:
    server = Server(data_dir, **environ)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def test_error_is_there_after_every_process_was_killed_the_moment_it_was_answered(
    tmp_path: Path, database_url: str
) -> None:
    expected = []
    for round_ in range(3):
        server = Server(tmp_path / "data", DATABASE_URL=database_url)
        server.wait_ready()
        answer = server.test_error(f"round {round_}")
        server.kill_all()
        assert answer.status == 500
        expected.append(f"TestError: round {round_}")
    with serving(tmp_path / "data", DATABASE_URL=database_url) as server:
        assert sorted(server.event_titles()) == expected
        status = http.request("GET", f"{server.url}/system/status").json()
        assert status["accounting"]["balanced"]


def test_eight_workers_start_at_once_on_an_empty_store_and_one_prints_the_password(
    tmp_path: Path, database_url: str
) -> None:
    environ = {"ADMIN_PASSWORD": "", "API_TOKEN": "", "WEB_CONCURRENCY": "8"}
    with serving(tmp_path / "data", DATABASE_URL=database_url, **environ) as server:
        wait_for(lambda: len(psutil.Process(server.process.pid).children()) == 8)
        wait_for(lambda: server.log.read_text().count("password      ") == 1)
        wait_for(lambda: server.log.read_text().count("API token     ") == 1)
        server.test_error("hello")
    log = server.log.read_text()
    assert log.count("password      ") == log.count("API token     ") == 1
    assert "locked" not in log and "OperationalError" not in log
    assert log.count("Booting worker") == 8


def test_sigterm_under_load_keeps_everything_it_answered(tmp_path: Path) -> None:
    answered: list[str] = []

    def send(server: Server, sender: int) -> None:
        for i in range(10_000):
            try:
                answer = server.test_error(f"{sender}-{i}")
            except urllib3.exceptions.HTTPError:
                return
            if answer.status == 500:
                answered.append(f"TestError: {sender}-{i}")

    with serving(tmp_path / "data") as server:
        senders = [threading.Thread(target=send, args=(server, n)) for n in range(4)]
        for sender in senders:
            sender.start()
        wait_for(lambda: len(answered) > 20)
        server.process.terminate()
        assert server.process.wait(20) == 0
        for sender in senders:
            sender.join()
    with serving(tmp_path / "data") as again:
        assert set(answered) <= set(again.event_titles())


def test_port_in_use_names_the_mend(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "gunicorn"],
            cwd=ROOT,
            env={**os.environ, "API_PORT": str(port), "DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"API_PORT={port + 1} make run" in done.stderr
    assert "Traceback" not in done.stderr


def test_store_and_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    with serving(tmp_path / "data", ADMIN_PASSWORD="", API_TOKEN="") as server:
        server.test_error("x")
    folder = tmp_path / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["secret_key"] == modes["devenviro.sqlite3"] == 0o600
    password = server.log.read_text().partition("password      ")[2].split()[0]
    assert len(password) >= 12
    for path in folder.rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    http.clear()
