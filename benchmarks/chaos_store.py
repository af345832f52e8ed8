"""The store under attack: kill it, fill it, start it eight times at once, and count the losses.

A loss is an event that the service answered for and does not show afterwards.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import urllib3

from benchmarks.chaos_door import kill_door
from benchmarks.usage import only_help
from tests.server_process import (
    Server,
    make_read_only,
    make_writable,
    serving,
    wait_for,
    without_override,
)

QUICK = {"WEB_CONCURRENCY": "1"}


def main(kills: int = 100, boots_of_8: int = 20) -> bool:
    """Run every row, and print the table; return whether nothing was lost or went wrong.

    :param kills: SIGKILLs right after an answer.
    :param boots_of_8: starts of eight web processes on an empty store.
    """
    rows: list[tuple[str, Callable[[Path], tuple[int, int]]]] = [
        (
            f"{kills} x SIGKILL right after the answer",
            lambda folder: kill_after_answer(folder, kills),
        ),
        ("SIGKILL in the middle of load, 5 times", kill_under_load),
        ("SIGKILL of anything, load at the HTTP door, 20 times", lambda f: kill_door(f, 20)),
        (f"{boots_of_8} x 8 workers on an empty store", lambda f: boots(f, boots_of_8)),
        ("a full disk, 50 errors", full_disk),
        ("a read-only store, 50 errors", read_only),
        ("SIGTERM under load, 5 times", stop_under_load),
    ]
    results = [(name, *_run(name, row)) for name, row in rows]
    print(f"\n  {'what happens':42} {'answered':>9} {'lost':>6}")
    for name, answered, lost in results:
        print(f"  {name:42} {answered:9} {lost:6}")
    return not any(lost for _, _, lost in results)


def _run(name: str, row: Callable[[Path], tuple[int, int]]) -> tuple[int, int]:
    print(f"  {name} …", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return row(Path(folder) / "data")


def kill_after_answer(data: Path, times: int) -> tuple[int, int]:
    """Kill every process directly after an error is answered; count the losses at the end."""
    answered: list[str] = []
    for i in range(times):
        server = Server(data, **QUICK)
        server.wait_ready()
        if server.test_error(f"kill {i}").status == 500:
            answered.append(f"TestError: kill {i}")
        server.kill_all()
        _progress(i + 1, times)
    return len(answered), _lost(data, answered)


def kill_under_load(data: Path) -> tuple[int, int]:
    """Kill every process while eight callers send errors."""
    answered: list[str] = []
    for round_ in range(5):
        server = Server(data)
        server.wait_ready()
        before = len(answered)
        callers = _callers(server, answered, f"load {round_}")
        wait_for(lambda before=before: len(answered) > before + 40)  # type: ignore[misc]
        server.kill_all()
        for caller in callers:
            caller.join()
        _progress(round_ + 1, 5)
    return len(answered), _lost(data, answered)


def stop_under_load(data: Path) -> tuple[int, int]:
    """Stop the service with SIGTERM while eight callers send errors."""
    answered: list[str] = []
    for round_ in range(5):
        with serving(data) as server:
            before = len(answered)
            callers = _callers(server, answered, f"stop {round_}")
            wait_for(lambda before=before: len(answered) > before + 40)  # type: ignore[misc]
        for caller in callers:
            caller.join()
        _progress(round_ + 1, 5)
    return len(answered), _lost(data, answered)


def boots(data: Path, times: int) -> tuple[int, int]:
    """Start eight workers at once on an empty store; count starts with an error in the log."""
    wrong = 0
    for i in range(times):
        folder = data.with_name(f"data-{i}")
        with serving(folder, WEB_CONCURRENCY="8") as server:
            wait_for(lambda server=server: len(server.workers()) == 8)  # type: ignore[misc]
            server.test_error("hello")
        log = server.log.read_text()
        wrong += any(word in log for word in ("locked", "OperationalError", "failed to boot"))
        _progress(i + 1, times)
    return times, wrong


def full_disk(data: Path) -> tuple[int, int]:
    """Make the kernel refuse all writes to the store, then allow them; events are recovered."""
    answered: list[str] = []
    with serving(data, **QUICK) as server:
        server.test_error("before")
        worker = server.workers()[0].pid
        size = (data / "devenviro.sqlite3-wal").stat().st_size
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        for i in range(50):
            if server.test_error(f"full {i}").status == 500:
                answered.append(f"TestError: full {i}")
            _progress(i + 1, 50)
        infinity = resource.RLIM_INFINITY
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (infinity, infinity))
        wait_for(lambda: server.get("/system/status")["store"]["set_aside"] == 0)
    return len(answered), _lost(data, answered)


def read_only(data: Path) -> tuple[int, int]:
    """Remove the right to write the store for some time."""
    prefix = without_override()
    if prefix is None:
        print("    NOT RUN: root ignores the modes of files, and there is no setpriv")
        return 0, 0
    answered: list[str] = []
    with serving(data, **QUICK) as server:
        server.test_error("before")
    with serving(data, prefix=prefix, **QUICK) as server:
        make_read_only(server, data)
        for i in range(50):
            if server.test_error(f"read-only {i}").status == 500:
                answered.append(f"TestError: read-only {i}")
            _progress(i + 1, 50)
        make_writable(data)
        wait_for(lambda: server.get("/system/status")["store"]["set_aside"] == 0)
    return len(answered), _lost(data, answered)


def _callers(server: Server, answered: list[str], name: str) -> list[threading.Thread]:
    def call(caller: int) -> None:
        for i in range(100_000):
            try:
                if server.test_error(f"{name} {caller} {i}").status == 500:
                    answered.append(f"TestError: {name} {caller} {i}")
            except urllib3.exceptions.HTTPError:
                return

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    return threads


def _lost(data: Path, answered: list[str]) -> int:
    """Start again, and return the number of lost events; an unbalanced accounting adds one."""
    with serving(data, **QUICK) as server:
        shown: set[str] = set()
        cursor = ""
        while True:
            page = server.get(f"/api/events?limit=1000{cursor}")
            shown |= {event["title"] for event in page["events"]}
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        balanced = server.get("/system/status")["accounting"]["balanced"]
    return len(set(answered) - shown) + (not balanced)


def _progress(done: int, of: int) -> None:
    if sys.stdout.isatty():
        print(f"\r    {done} of {of}", end="\n" if done == of else "", flush=True)


if __name__ == "__main__":
    only_help(__doc__)
    sys.exit(not main())
