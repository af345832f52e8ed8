"""Fixtures: one service for all clients, a project for each test, and the clients of npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.events.tables import envelopes
from app.projects import create_project
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack
from app.store import Store
from tests.clients.known_stream import STREAM
from tests.person import Person
from tests.relay_parser import errors_of
from tests.server_process import Server, serving

pytest.register_assert_rewrite("tests.clients.finding")
HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
BIN = HERE / "node_modules" / ".bin"
NO_CLIENTS = next(
    (
        reason
        for is_there, reason in (
            (shutil.which("node"), "there is no node"),
            (BIN.is_dir(), "npm installed nothing into tests/clients/node_modules"),
        )
        if not is_there
    ),
    None,
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NO_CLIENTS:
        terminalreporter.write_line(
            f"THE CLIENTS OF OTHER LANGUAGES DID NOT RUN: {NO_CLIENTS}.", red=True, bold=True
        )


@dataclass
class Program:
    """A project that a client sends to, with access to its stored data."""

    server: Server
    store: Store
    id: int
    dsn: str

    @property
    def wrong_dsn(self) -> str:
        """The DSN of the same project with an unknown key."""
        return self.dsn.replace(self.dsn.split("@")[0], "http://" + "0" * 32)

    def event(self, event_id: str) -> dict[str, Any]:
        """Return an event as the API shows it."""
        event: dict[str, Any] = self.server.get(f"/api/events/{event_id}")
        assert event.get("project_id") == self.id, event
        return event

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the project, newest first."""
        found = self.server.get(f"/api/events?limit=1000&project_id={self.id}")
        return list(found["events"])

    def issue(self, issue_id: int) -> dict[str, Any]:
        """Return an issue as the API shows it."""
        issue: dict[str, Any] = self.server.get(f"/api/issues/{issue_id}")
        return issue

    def kinds(self) -> set[str]:
        """Return the types of all stored items."""
        query = select(envelopes.c.item_types).where(envelopes.c.project_id == self.id)
        with self.store.read() as conn:
            return {kind for types in conn.scalars(query) for kind in types.split(",")}

    def payloads(self) -> list[dict[str, Any]]:
        """Return the stored events and transactions; they are sent to Sentry in this form."""
        query = select(envelopes.c.body).where(envelopes.c.project_id == self.id)
        with self.store.read() as conn:
            bodies = conn.scalars(query).all()
        items = [item for body in bodies for item in parse_envelope(unpack(body)).items]
        return [item.payload for item in items if item.type in {"event", "transaction"}]

    def other_statuses(self) -> set[int]:
        """Return all statuses but 200 that the envelope route answered with.

        They are read from the service's log, which leaves out most accepted envelopes.
        """
        lines = [line for line in self.server.log.read_text().splitlines() if line[:1] == "{"]
        path = f"/api/{self.id}/envelope/"
        requests = [json.loads(line) for line in lines]
        return {request["status"] for request in requests if request.get("path") == path} - {200}


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients") / "data"


@pytest.fixture(scope="session")
def server(data_dir: Path) -> Iterator[Server]:
    """Start the service as ``make run`` starts it."""
    with serving(data_dir, SENTRY_DSN="") as server:
        yield server


@pytest.fixture(scope="session")
def store(server: Server, data_dir: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{data_dir / 'devenviro.sqlite3'}")
    yield store
    store.dispose()


@pytest.fixture
def program(server: Server, store: Store) -> Iterator[Program]:
    """Make a project for the test, with the DSN that the API returns.

    At the end, Sentry's parser must accept all stored events.
    """
    project = create_project(store, f"shop {uuid.uuid4().hex[:8]}")
    listed = {entry["id"]: entry["dsn"] for entry in server.get("/api/projects")["projects"]}
    program = Program(server, store, project.id, listed[project.id])
    yield program
    assert [errors for event in program.payloads() if (errors := errors_of(event))] == []


@pytest.fixture(scope="session")
def person(server: Server) -> Person:
    """Somebody who is logged in, once, since hashing a password is slow."""
    return Person(server.url)


@pytest.fixture
def stream_file(tmp_path: Path) -> Path:
    """The known stream in a file, for programs."""
    file = tmp_path / "stream.json"
    file.write_text(json.dumps(STREAM))
    return file


@pytest.fixture
def run_client(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a client in its own process, without the environment of this process."""

    def run(
        *command: object, check: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ}
        done = subprocess.run(
            [str(part) for part in command],
            env=clean,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def needs_npm() -> None:
    if NO_CLIENTS:
        pytest.skip(NO_CLIENTS)
