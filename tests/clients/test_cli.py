"""sentry-cli, the binary that its npm package carries."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import BIN, Program

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.usefixtures("needs_npm")
SEND_MESSAGE = ("send-event", "-m", "the till is open", "-l", "warning", "--no-environ")
SEND_MESSAGE += ("-t", "shelf:a7", "-r", "shop@1.2.3", "-E", "staging", "-u", "id:u-1")


def test_cli_sends_a_message(run_client: Run, program: Program) -> None:
    run_client(BIN / "sentry-cli", *SEND_MESSAGE, SENTRY_DSN=program.dsn)
    assert program.other_statuses() == set()
    (listed,) = program.events()
    event = program.event(listed["event_id"])
    assert (event["title"], event["level"]) == ("the till is open", "warning")
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "staging")
    assert event["tags"]["shelf"] == "a7" and event["user"]["id"] == "u-1"


def test_cli_sends_an_event_and_an_envelope_from_files(
    run_client: Run, program: Program, tmp_path: Path
) -> None:
    raised = {"type": "RangeError", "value": "order 17 has no price"}
    event = {"event_id": uuid.uuid4().hex, "exception": {"values": [raised]}, "level": "fatal"}
    (tmp_path / "event.json").write_text(json.dumps(event))
    run_client(BIN / "sentry-cli", "send-event", "event.json", SENTRY_DSN=program.dsn)
    sent = {**event, "event_id": uuid.uuid4().hex}
    lines = [{"event_id": sent["event_id"]}, {"type": "event"}, sent]
    (tmp_path / "envelope").write_text("\n".join(map(json.dumps, lines)))
    run_client(BIN / "sentry-cli", "send-envelope", "envelope", SENTRY_DSN=program.dsn)
    assert program.other_statuses() == set()
    kept = program.events()
    assert {one["title"] for one in kept} == {"RangeError: order 17 has no price"}
    assert len(kept) == 2 and len({one["issue_id"] for one in kept}) == 1


def test_cli_runs_a_monitored_command(run_client: Run, program: Program) -> None:
    run_client(
        BIN / "sentry-cli", "monitors", "run", "nightly", "--", "true", SENTRY_DSN=program.dsn
    )
    assert program.kinds() == {"check_in"} and program.other_statuses() == set()


def test_cli_with_a_wrong_key_says_403(run_client: Run, program: Program) -> None:
    dsn = program.wrong_dsn
    done = run_client(BIN / "sentry-cli", *SEND_MESSAGE, check=False, SENTRY_DSN=dsn)
    assert done.returncode != 0
    assert "403" in done.stderr + done.stdout and program.other_statuses() == {403}
    assert program.events() == []
