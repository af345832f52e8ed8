"""SIGKILL of any process at any time under ingest load: every event answered 200 is stored."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from app.projects import create_project
from app.store import Store
from config import ROOT
from tests.server_process import Server, serving, wait_for

# The processes that are killed, in turn. Killing the master also loses the answers in progress.
VICTIMS = ("a web process", "everything", "gunicorn's master")
# The load of a round would last some seconds. The kill comes after 1 to MAX_ANSWERS answers.
EVENTS, MAX_ANSWERS = 800, 300
# The kill comes up to this time after the answer, so that it hits the processing of a later batch.
MAX_DELAY_S = 0.05
END_S = 30


def kill_door(data: Path, rounds: int, seed: int = 1) -> tuple[int, int]:
    """Kill in every round, and count the losses after the last round.

    :param seed: the same seed gives the same victims after the same numbers of answers.
    :return: how many events were answered with 200, and how many of these are not stored; an
        accounting that does not balance counts as one loss.
    """
    chance, ids = random.Random(seed), data.with_name("answered")
    ids.touch()
    path = _make_project(data)
    for round_ in range(rounds):
        _kill_once(data, path, ids, VICTIMS[round_ % len(VICTIMS)], chance)
    answered = set(ids.read_text().split())
    with serving(data, SENTRY_DSN="") as server:
        balanced = server.get("/system/status")["accounting"]["balanced"]
        return len(answered), len(answered - set(_kept(server))) + (not balanced)


def _make_project(data: Path) -> str:
    """Make a project, and return the path of its envelope route with the key."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    store.open()
    project = create_project(store, "shop")
    store.dispose()
    return f"/api/{project.id}/envelope/?sentry_key={project.keys[0]}"


def _kill_once(data: Path, path: str, ids: Path, victim: str, chance: random.Random) -> None:
    server = Server(data, WEB_CONCURRENCY="2", SENTRY_DSN="")
    try:
        server.wait_ready()
        with _load(server.url + path, ids) as sending:
            enough = _count(ids) + chance.randint(1, MAX_ANSWERS)
            wait_for(lambda: _count(ids) >= enough)
            time.sleep(chance.uniform(0, MAX_DELAY_S))
            _kill(server, victim)
            if victim == "a web process":
                # The other web process continues, and so does the replacement of the killed one.
                wait_for(lambda: _count(ids) >= enough + 50 or sending.poll() is not None)
    finally:
        _end(server)


@contextlib.contextmanager
def _load(url: str, ids: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.load", "--url", url, "--ids-file", str(ids)]
    command += ["--events", str(EVENTS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as sending:
        try:
            yield sending
        finally:
            sending.kill()


def _kill(server: Server, victim: str) -> None:
    if victim == "everything":
        server.kill_all()
    elif victim == "a web process":
        server.workers()[0].kill()
    else:
        workers = server.workers()
        server.process.kill()
        server.process.wait(END_S)
        # The workers notice that their master is gone, and end.
        for worker in psutil.wait_procs(workers, timeout=END_S)[1]:
            worker.kill()


def _end(server: Server) -> None:
    if server.process.poll() is None:
        server.stop()


def _count(ids: Path) -> int:
    return ids.read_bytes().count(b"\n")


def _kept(server: Server) -> Iterator[str]:
    cursor = ""
    while True:
        page = server.get(f"/api/events?limit=1000{cursor}")
        yield from (event["event_id"] for event in page["events"])
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"
