"""The first hour of an operator: a fresh clone without `.env`, up to a store that survives a kill.

The process of the image runs from a clone, with the command and the settings of the image and of
`docker-compose.yml`; the image itself is not built, and `docker compose config` is asked only where
Docker is installed. The clone is ready within four seconds, prints address and password last, and
shows the answer to a test error after one log-in and two clicks. `flask verify` succeeds. After a
stop the event, the password and the token still work. At the end all processes are killed
during 500 events: every event that was answered with 200 is stored.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import urllib3

from benchmarks.envelopes import envelope_of, event_of
from benchmarks.scenarios_clone import Clone, lay_out
from benchmarks.scenarios_pages import Person
from tests.server_process import free_port, http, wait_for

READY_WITHIN_S = 4.0
EVENTS, CALLERS, KILLED_AFTER = 500, 4, 200


def play() -> list[str]:
    """Run the scenario; return a line for each error."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder, port = Path(name), free_port()
        lay_out("HEAD", folder / "clone")

        def start() -> Clone:
            server = Clone(folder / "clone", folder / "data", port)
            stack.callback(server.stop)
            server.wait_ready()
            return server

        wrong = _compose_file(folder / "clone")
        server = start()
        wrong += _is_soon_ready(time.monotonic() - server.began)
        person, complaints = _person(server)
        event_id = _see_a_verdict(person)
        wrong += complaints + _verify(server)
        server.stop()
        server = start()
        _see_again(person, event_id)
        address = _address(person)
        answered = _send_and_kill(server, address)
        start()
        return wrong + _lost(person, answered)


def _is_soon_ready(seconds: float) -> list[str]:
    print(f"  ready after {seconds:.1f} s", flush=True)
    late = seconds > READY_WITHIN_S
    return [f"it was ready after {seconds:.1f} s, not {READY_WITHIN_S:.0f}"] if late else []


def _compose_file(clone: Path) -> list[str]:
    known = shutil.which("docker") and subprocess.run(
        ["docker", "compose", "version"], capture_output=True
    )
    if not known or known.returncode:
        print("  no Docker Compose here: it was not asked about the compose file", flush=True)
        return []
    command = ["docker", "compose", "config", "-q"]
    asked = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    return [f"the compose file: {asked.stderr.strip()[:200]}"] if asked.returncode else []


def _person(server: Clone) -> tuple[Person, list[str]]:
    """Log in with what the log says; return the person, and what is wrong with the log."""
    wait_for(lambda: "password  " in server.log.read_text())
    log = server.log.read_text()
    found = dict(re.findall(r"^ +(admin pages|password|API token)   *(\S+)$", log, re.M))
    last = log.rstrip("\n").splitlines()[-2:]
    is_last = found["admin pages"] in last[0] and found["password"] in last[1]
    person = Person(server.url, found["password"], found["API token"])
    person.log_in()
    return person, [] if is_last else [f"the last lines of the log are {last}"]


def _see_a_verdict(person: Person) -> str:
    """Click on *Send a test error* on Start; return the event id that its answer shows."""
    forms = re.findall(r"<form.*?</form>", person.page("/admin/").html, re.S)
    form = next(form for form in forms if "Send a test error" in form)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    path = re.findall(r'action="([^"]*)"', form)[0]
    answer = person.send(path, "/admin/", **{k: unescape(v) for k, v in fields.items()})
    page, _ = person.follow(answer.removeprefix(person.url))
    shown = re.search(r"/admin/events/([0-9a-f]{32})", page.html)
    if shown is None or not page.says("Recorded in"):
        raise RuntimeError("one click does not show where the test error is")
    return shown[1]


def _verify(server: Clone) -> list[str]:
    done = server.flask("verify")
    last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
    return [] if done.returncode == 0 else [f"flask verify ended with {done.returncode}: {last}"]


def _see_again(person: Person, event_id: str) -> None:
    """Read the event with the same password and token.

    :raise RuntimeError: one of the three is lost.
    """
    person.cookies.clear()
    person.log_in()
    person.page(f"/admin/events/{event_id}")
    person.api(f"/api/events/{event_id}")


def _address(person: Person) -> str:
    project = person.api("/api/projects", "POST", {"name": "First"})
    return f"{person.url}/api/{project['id']}/envelope/?sentry_key={project['keys'][0]}"


def _send_and_kill(server: Clone, address: str) -> list[str]:
    """Send events and kill all processes meanwhile; return the ids that were answered with 200."""
    answered: list[str] = []
    is_killed = threading.Lock()

    def send(number: int) -> None:
        event = event_of(1, number)
        try:
            answer = http.request("POST", address, body=envelope_of(event), timeout=20)
        except urllib3.exceptions.HTTPError:
            return  # Nobody was told that this event is stored.
        if answer.status == 200:
            answered.append(str(event["event_id"]))
        if len(answered) >= KILLED_AFTER and is_killed.acquire(blocking=False):
            server.kill_all()

    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(send, range(EVENTS)))
    print(f"  killed: {len(answered)} of {EVENTS} events were answered", flush=True)
    return answered


def _lost(person: Person, answered: list[str]) -> list[str]:
    lost = [one for one in answered if person.raw(f"/api/events/{one}").status != 200]
    wrong = [f"{len(lost)} of {len(answered)} answered events are lost"] if lost else []
    return wrong if len(answered) < EVENTS else [*wrong, "the kill came after the last event"]
