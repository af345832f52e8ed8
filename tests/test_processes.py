"""The real thing: gunicorn, its workers, and what happens when they are killed or starved."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import urllib3
from sqlalchemy import update

from app.alerts.channels.stored import add_channel
from app.alerts.outage import TITLE
from app.projects import create_project, projects
from app.store import Store
from config import ROOT
from tests.receivers import Receiver
from tests.server_process import (
    Server,
    http,
    make_read_only,
    make_writable,
    serving,
    wait_for,
    without_override,
)


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
        assert server.get("/system/status")["accounting"]["balanced"]


def test_four_workers_start_at_once_on_an_empty_store_and_one_prints_the_password(
    tmp_path: Path, database_url: str
) -> None:
    environ = {"ADMIN_PASSWORD": "", "API_TOKEN": "", "WEB_CONCURRENCY": "4"}
    with serving(tmp_path / "data", DATABASE_URL=database_url, **environ) as server:
        wait_for(lambda: len(server.workers()) == 4)
        wait_for(lambda: server.log.read_text().count("password      ") == 1)
        wait_for(lambda: server.log.read_text().count("API token     ") == 1)
        server.test_error("hello")
    log = server.log.read_text()
    assert log.count("password      ") == log.count("API token     ") == 1
    assert "locked" not in log and "OperationalError" not in log
    assert log.count("Booting worker") == 4


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


# ---- a store that cannot be written -------------------------------------------------------------


def limit_file_size(server: Server, size: int) -> None:
    """Have the kernel refuse every write beyond a size, as a full disk does."""
    for worker in server.workers():
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Hold a reader of the newest state: the write-ahead log can only grow meanwhile."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM events").fetchone()
        yield


def test_full_disk_leaves_answers_as_they_were_and_the_events_come_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, WEB_CONCURRENCY="1") as server:
        server.test_error("before")
        with reading(data / "devenviro.sqlite3"):
            # An emergency file of a few kilobytes fits below that size.
            limit_file_size(server, (data / "devenviro.sqlite3-wal").stat().st_size)
            answer = server.test_error("while it is full")
            assert (answer.status, bool(answer.json()["event_id"])) == (500, True)
            assert http.request("GET", f"{server.url}/health/live").status == 200
            assert server.get("/system/status")["store"]["set_aside"] >= 1
            limit_file_size(server, resource.RLIM_INFINITY)
        server.test_error("after")
        expected = ["TestError: after", "TestError: before", "TestError: while it is full"]
        wait_for(lambda: sorted(server.event_titles()) == expected)
        wait_for(lambda: server.get("/health")["status"] == "pass")

        def is_counted() -> bool:
            # On a busy machine an event of later may wait too long and go there as well.
            log = server.log.read_text()
            count = log.count("did not take an event, it is in the emergency folder")
            return server.get("/system/status")["counters"]["emergency:set_aside"] == count >= 1

        wait_for(is_counted)
        assert server.get("/system/status")["accounting"]["balanced"]


def test_full_disk_fails_readiness_and_one_process_tells_until_there_is_room_again(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    private = {"ALERTS_ALLOW_PRIVATE_TARGETS": "on"}
    with Receiver() as sink:
        add_webhook(data, sink.url)
        with serving(data, WEB_CONCURRENCY="2", **private) as server:
            # The rule that names the channels is made when rules are first evaluated.
            wait_for(lambda: has_rules(data))
            server.test_error("before")
            # While somebody reads, the log can only grow, and it may not: no write, but reads.
            with reading(data / "devenviro.sqlite3"):
                limit_file_size(server, (data / "devenviro.sqlite3-wal").stat().st_size)
                server.test_error("while it is full")
                ready = f"{server.url}/health/ready"
                wait_for(lambda: http.request("GET", ready).status == 503)
                assert server.get("/health/ready")["checks"]["store"] == "fail"
                wait_for(lambda: TITLE in titles_of(sink))
                limit_file_size(server, resource.RLIM_INFINITY)
            wait_for(lambda: http.request("GET", ready).status == 200)
    assert titles_of(sink).count(TITLE) == 1


def add_webhook(data: Path, url: str) -> None:
    """Store a channel in a new store."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    store.open()
    values = {"kind": "webhook", "name": "on call", "address": url, "secret": "s" * 20}
    with store.write() as conn:
        add_channel(conn, values | {"enabled": True})
    store.dispose()


def has_rules(data: Path) -> bool:
    with closing(sqlite3.connect(data / "devenviro.sqlite3")) as conn:
        return bool(conn.execute("SELECT count(*) FROM alert_rules").fetchone()[0])


def titles_of(sink: Receiver) -> list[str]:
    return [one.json["title"] for one in sink.received]


def test_read_only_store_leaves_answers_as_they_were_and_the_events_come_back(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    prefix = without_override()
    if prefix is None:
        pytest.skip("root ignores the modes of files, and there is no setpriv to stop that")
    with serving(data) as server:
        server.test_error("before")
    with serving(data, WEB_CONCURRENCY="1", prefix=prefix) as server:
        make_read_only(server, data)
        answer = server.test_error("while it is read-only")
        assert (answer.status, bool(answer.json()["event_id"])) == (500, True)
        make_writable(data)
        expected = ["TestError: before", "TestError: while it is read-only"]
        wait_for(lambda: sorted(server.event_titles()) == expected)


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    http.clear()


def test_processes_share_the_count_of_a_quota(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path / "data", DATABASE_URL=database_url, WEB_CONCURRENCY="3") as server:
        store = Store(database_url)
        key = create_project(store, "Shop", 42).keys[0]
        with store.write() as conn:
            conn.execute(update(projects).values(events_per_minute=10))
        store.dispose()
        url = f"{server.url}/api/42/envelope/?sentry_key={key}"
        body = b'{}\n{"type":"event"}\n{"message":"one of many"}\n'
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(lambda _: http.request("POST", url, body=body), range(60))
            codes = [answer.status for answer in answers]
        totals = server.get("/system/status")["accounting"]
    # A minute may end while they are sent.
    assert codes.count(200) in (10, 20) and codes.count(429) == 60 - codes.count(200)
    assert totals["accepted"] == codes.count(200) and totals["balanced"]
