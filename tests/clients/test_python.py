"""sentry-sdk, as it comes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PROGRAMS, Program
from tests.clients.finding import assert_everything_is_found
from tests.person import Person

Run = Callable[..., subprocess.CompletedProcess[str]]


def report(run_client: Run, dsn: str, algorithm: str) -> dict[str, Any]:
    done = run_client(sys.executable, PROGRAMS / "python.py", dsn, algorithm)
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize("algorithm", ["br", "gzip"])
def test_sentry_sdk_reports_and_everything_is_kept(
    run_client: Run, program: Program, algorithm: str
) -> None:
    seen = report(run_client, program.dsn, algorithm)
    assert set(seen["statuses"]) == {200} and program.other_statuses() == set()
    assert set(seen["encodings"]) == {algorithm}
    assert seen["lost"] == []
    first, second = (program.event(event_id) for event_id in seen["ids"])
    assert_is_the_order_without_a_price(first)
    assert first["issue_id"] == second["issue_id"]
    assert program.issue(first["issue_id"])["times_seen"] == 2
    message = program.event(seen["message_id"])
    assert (message["message"], message["level"]) == ("the till is open", "warning")
    assert [(one["filename"], one["size"]) for one in message["attachments"]] == [
        ("receipt.bin", len(b"\x00\xffreceipt"))
    ]
    titles = {event["title"] for event in program.events()}
    assert {"the till is open", "the drawer is stuck"} < titles and len(program.events()) == 4
    assert program.kinds() == {
        "event", "transaction", "check_in", "attachment", "log", "trace_metric", "session",
    }  # fmt: skip


def assert_is_the_order_without_a_price(event: dict[str, Any]) -> None:
    raised = event["exceptions"][-1]
    assert (raised["type"], raised["value"]) == ("ValueError", "order 17 has no price in EUR")
    assert [frame["function"] for frame in raised["frames"]] == ["checkout", "price"]
    top = raised["frames"][-1]
    assert top["filename"] == "python.py" and top["vars"]["currency"] == "'EUR'"
    assert 'raise ValueError(f"order {order}' in top["context_line"]
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "staging")
    assert event["tags"]["shelf"] == "a7" and event["user"]["id"] == "u-1"
    assert event["breadcrumbs"][-1]["message"] == "cart opened"
    assert event["sdk"]["name"].startswith("sentry.python")


def test_sentry_sdk_with_a_wrong_key_is_told_403_and_nothing_is_kept(
    run_client: Run, program: Program
) -> None:
    seen = report(run_client, program.wrong_dsn, "gzip")
    assert set(seen["statuses"]) == program.other_statuses() == {403}
    assert program.kinds() == set()


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_known_stream_of_sentry_sdk_is_on_every_page(
    run_client: Run, program: Program, person: Person, stream_file: Path, lifecycle: str
) -> None:
    done = run_client(sys.executable, PROGRAMS / "stream.py", program.dsn, lifecycle, stream_file)
    played = json.loads(done.stdout.splitlines()[-1])
    is_streamed = lifecycle == "stream"
    assert_everything_is_found(program, person, played, is_streamed=is_streamed, has_check_ins=True)
