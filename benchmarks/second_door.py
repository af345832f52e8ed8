"""The ingest routes for chaos tests: make a project with its own upstream, and send events."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import urllib3

from app.delivery import destinations
from app.store import Store
from benchmarks.envelopes import envelope_of, event_of
from config import ROOT
from tests.server_process import http, settings

PROJECT = 2


def open_project(data_dir: Path, store: Store, dsn: str, **environ: str) -> str | None:
    """Make a project whose events are forwarded to a DSN.

    :return: path and query for its envelopes; ``None`` if this service cannot make projects.
    """
    key = uuid.uuid4().hex
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "project", "create", "chaos"]
    done = subprocess.run(
        [*command, "--id", str(PROJECT), "--key", key],
        cwd=ROOT,
        env=settings(data_dir) | environ,
        capture_output=True,
        text=True,
    )
    if "No such command 'project'" in done.stderr:
        return None
    done.check_returncode()
    with store.write() as conn:
        destinations.set_dsn(conn, PROJECT, dsn)
    return f"/api/{PROJECT}/envelope/?sentry_key={key}"


def report(url: str, bug: int, number: int) -> str | None:
    """Send an event; return its id if the answer is 200 with that id, else ``None``.

    :raise urllib3.exceptions.HTTPError: the server closed the connection, or is not reachable.
    """
    event = event_of(bug, number)
    headers = {"Content-Type": "application/x-sentry-envelope"}
    answer: urllib3.BaseHTTPResponse = http.request(
        "POST", url, body=envelope_of(event), headers=headers, timeout=20
    )
    event_id = str(event["event_id"])
    return event_id if answer.status == 200 and answer.json()["id"] == event_id else None
