"""An operator's bad day: an upgrade from an early version, a restore of everything, a full disk.

*Upgrade*: an early version gets events, decisions, comments, a channel and a token for reading. The
version of today starts on its store. Every page has its old address, and a script that read
with the token gets the same answers.
*Restore*: a backup is written while events come in, everything is removed, the backup is restored.
The command compares all counts itself; every event from before the backup is there.
*Disk*: a small disk is filled. Readiness fails and a channel hears of it within a minute.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.envelopes import envelope_of, event_of
from benchmarks.scenarios_clone import Clone, has_commit, lay_out
from benchmarks.scenarios_pages import Person
from tests.receivers import Receiver
from tests.server_process import free_port, http, wait_for

EARLY = "23e25f0"
BUGS, CALLERS, LOOKS = 40, 4, 20
READY_WITHIN_S, HEARD_WITHIN_S = 600.0, 60.0
DISK_BYTES = 96 * 1024**2
# What may change between two versions: new texts for old titles, and the service's own requests.
FREE = frozenset({"title", "culprit", "type", "value", "trail", "counts"})


@dataclass
class Day:
    """The service over the day: its folder, its settings, and what was answered early on.

    :param answers: what the script read, by path.
    """

    folder: Path
    port: int
    settings: dict[str, str]
    event_ids: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    reader: str = ""

    def start(self, version: str, stack: ExitStack) -> tuple[Clone, Person]:
        """Start a version of the service on the data of the day."""
        server = Clone(self.folder / version, self.folder / "data", self.port, **self.settings)
        stack.callback(server.stop)
        server.wait_ready(READY_WITHIN_S)
        person = Person(server.url, self.settings["ADMIN_PASSWORD"], self.settings["API_TOKEN"])
        person.log_in()
        return server, person


def play(events: int) -> list[str]:
    """Run the scenario; return a line for each error.

    :param events: how many the early version gets.
    """
    if not has_commit(EARLY):
        return [f"this checkout has no commit {EARLY}: fetch the whole history"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ExitStack() as stack:
        sink = stack.enter_context(Receiver())
        day = _day(Path(name))
        lay_out(EARLY, day.folder / "early")
        lay_out("HEAD", day.folder / "new")
        _early(day, events, sink, stack)
        server, person = day.start("new", stack)
        took = time.monotonic() - server.began
        print(f"  {events} events upgraded after {took:.0f} s", flush=True)
        wrong = _compare(day, person)
        server = _restore(day, server, person, stack, wrong)
        server.stop()
        return wrong + _fill_disk(day, stack)


def _day(folder: Path) -> Day:
    settings = {
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_hex(32),
        "ADMIN_PASSWORD": secrets.token_hex(12),
        "API_TOKEN": secrets.token_hex(16),
        "ALERTS_ALLOW_PRIVATE_TARGETS": "on",
        "DEFAULT_EVENTS_PER_MINUTE": "0",
        "SENTRY_DSN": "",
    }
    port = free_port()
    return Day(folder, port, settings | {"PUBLIC_URL": f"http://127.0.0.1:{port}"})


# ---- upgrade ------------------------------------------------------------------------------------


def _early(day: Day, events: int, sink: Receiver, stack: ExitStack) -> None:
    """Let the early version store events and decisions, and note what a script reads."""
    server, person = day.start("early", stack)
    made = server.flask("token", "create", "script", "--scope", "read")
    day.reader = made.stdout.strip().splitlines()[-1]
    body = {"kind": "webhook", "name": "on call", "url": sink.url}
    person.api("/api/alerts/channels", "POST", body)
    day.event_ids = list(_send(_address(person, "Shop"), events))
    issues = person.api("/api/issues?limit=100")["issues"]
    for issue, status in zip(issues[:10], ("resolved", "ignored") * 5, strict=False):
        person.api(f"/api/issues/{issue['id']}", "PATCH", {"status": status})
        body = {"text": f"seen, {status}"}
        person.api(f"/api/issues/{issue['id']}/comments", "POST", body)
    day.answers = {path: _read(person, day.reader, path) for path in _paths(day, issues)}
    server.stop()


def _address(person: Person, name: str) -> str:
    made = person.api("/api/projects", "POST", {"name": name})
    return f"{person.url}/api/{made['id']}/envelope/?sentry_key={made['keys'][0]}"


def _send(address: str, events: int) -> Iterator[str]:
    """Send events and yield the ids of those that were answered with 200."""

    def send(number: int) -> str | None:
        event = event_of(number % BUGS, number)
        answer = http.request("POST", address, body=envelope_of(event), timeout=60)
        return str(event["event_id"]) if answer.status == 200 else None

    with ThreadPoolExecutor(CALLERS) as callers:
        for number, event_id in enumerate(callers.map(send, range(events)), 1):
            if number % 10_000 == 0:
                print(f"  {number} of {events} events sent", flush=True)
            if event_id:
                yield event_id


def _paths(day: Day, issues: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("/api/projects", "/api/alerts/channels", "/api/deliveries/overview")
    for issue in issues[:LOOKS]:
        yield f"/api/issues/{issue['id']}"
    for event_id in day.event_ids[:: max(1, len(day.event_ids) // LOOKS)]:
        yield f"/api/events/{event_id}"


def _read(person: Person, token: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    answer = http.request("GET", person.url + path, headers=headers, timeout=60)
    return answer.json() if answer.status == 200 else f"the answer {answer.status}"


def _compare(day: Day, person: Person) -> list[str]:
    """Return where a script gets other answers than early on, and which pages do not open."""
    wrong = []
    for path, before in day.answers.items():
        wrong += [f"{path}: {one}" for one in differences(before, _read(person, day.reader, path))]
        if path.startswith(("/api/issues/", "/api/events/")):
            person.page(path.replace("/api/", "/admin/"))
    print(f"  {len(day.answers)} answers read again", flush=True)
    return wrong


def differences(before: Any, after: Any, at: str = "") -> Iterator[str]:
    """Yield where an answer lacks or changes something that it had; more fields are fine."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() - FREE:
            if name in after:
                yield from differences(before[name], after[name], f"{at}.{name}")
            else:
                yield f"{at}.{name} is gone"
    elif isinstance(before, list) and isinstance(after, list) and len(before) <= len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from differences(one, other, f"{at}[{number}]")
    elif before != after:
        yield f"{at} was {str(before)[:60]!r}, is {str(after)[:60]!r}"


# ---- restore ------------------------------------------------------------------------------------


def _restore(day: Day, server: Clone, person: Person, stack: ExitStack, wrong: list[str]) -> Clone:
    """Back up under load, remove everything, restore, and look for every earlier event."""
    file = day.folder / "backup"
    with _load(_address(person, "Load")) as sent:
        wait_for(lambda: len(sent) > 100)
        before = list(sent)
        wrong += _failed(server.flask("backup", str(file)))
    wrong += _failed(server.flask("backup", "verify", str(file)))
    server.stop()
    shutil.rmtree(server.data_dir)
    wrong += _failed(server.flask("restore", str(file)))
    server, person = day.start("new", stack)
    # Without TLS it warns, and ends with 1.
    wrong += _failed(server.flask("verify"), up_to=1)
    wanted = before + day.event_ids[:: max(1, len(day.event_ids) // 500)]
    lost = [one for one in wanted if person.raw(f"/api/events/{one}").status != 200]
    if lost:
        wrong.append(f"{len(lost)} of {len(wanted)} events are not in the restored store")
    if not person.api("/system/status")["accounting"]["balanced"]:
        wrong.append("the accounting of the restored store does not add up")
    print(f"  restored: {len(wanted)} events looked up", flush=True)
    return server


@contextmanager
def _load(address: str) -> Iterator[list[str]]:
    """Send events all the while; yield the ids of the answered ones."""
    answered: list[str] = []
    is_over = threading.Event()

    def send() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            event = event_of(number % BUGS, number)
            if http.request("POST", address, body=envelope_of(event), timeout=60).status == 200:
                answered.append(str(event["event_id"]))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield answered
    finally:
        is_over.set()
        thread.join()


def _failed(done: subprocess.CompletedProcess[str], up_to: int = 0) -> list[str]:
    if 0 <= done.returncode <= up_to:
        return []
    last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
    return [f"{' '.join(done.args[:3])} ended with {done.returncode}: {last}"]


# ---- disk ---------------------------------------------------------------------------------------


def _fill_disk(day: Day, stack: ExitStack) -> list[str]:
    """Fill a small disk below the data; return what was not heard in time."""
    sink, small = stack.enter_context(Receiver()), Day(day.folder / "small", day.port, day.settings)
    disk = small.folder / "data"
    disk.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        return [f"no disk to fill, since mounting needs root: {mounted.stderr.strip()}"]
    stack.callback(subprocess.run, ["umount", "-l", str(disk)])
    shutil.copytree(day.folder / "new", small.folder / "new")
    server, person = small.start("new", stack)
    body = {"kind": "webhook", "name": "on call", "url": sink.url}
    person.api("/api/alerts/channels", "POST", body)
    address = _address(person, "Full")
    began = time.monotonic()
    _write_until_full(disk / "ballast")
    ready = f"{server.url}/health/ready"

    def sends(is_so: Callable[[], bool]) -> Callable[[], bool]:
        def asked() -> bool:
            with suppress(Exception):
                http.request("POST", address, body=envelope_of(event_of(1, 1)), timeout=20)
            return is_so()

        return asked

    def is_heard() -> bool:
        return any(re.search(r"disk|store", str(one.json), re.I) for one in sink.received)

    wrong = []
    for what, is_so in (
        ("readiness says 503", lambda: http.request("GET", ready, timeout=20).status == 503),
        ("a channel hears of the disk", is_heard),
    ):
        try:
            wait_for(sends(is_so), HEARD_WITHIN_S - (time.monotonic() - began))
            print(f"  disk full: {what} after {time.monotonic() - began:.0f} s", flush=True)
        except AssertionError:
            wrong.append(f"the disk is full, but not within {HEARD_WITHIN_S:.0f} s: {what}")
    (disk / "ballast").unlink()
    server.stop()
    return wrong


def _write_until_full(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 65536):
            pass
