"""@sentry/node, from npm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PROGRAMS, Program
from tests.clients.finding import assert_everything_is_found
from tests.person import Person

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.usefixtures("needs_npm")


def report(run_client: Run, dsn: str, *tunnel: str) -> dict[str, Any]:
    done = run_client("node", PROGRAMS / "node.mjs", dsn, *tunnel)
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_node_reports_and_everything_is_kept(run_client: Run, program: Program) -> None:
    seen = report(run_client, program.dsn)
    assert set(seen["statuses"]) == {200} and program.other_statuses() == set()
    assert seen["failures"] == [] and seen["flushed"]
    first, second = (program.event(event_id) for event_id in seen["ids"])
    assert_is_the_order_without_a_price(first)
    assert first["issue_id"] == second["issue_id"]
    assert program.issue(first["issue_id"])["times_seen"] == 2
    message = program.event(seen["messageId"])
    assert (message["message"], message["level"]) == ("the till is open", "warning")
    assert message["issue_id"] != first["issue_id"]
    kinds = {"event", "span", "check_in", "log", "trace_metric", "feedback", "session"}
    assert kinds <= program.kinds()
    assert "client_report" not in program.kinds()


def assert_is_the_order_without_a_price(event: dict[str, Any]) -> None:
    raised = event["exceptions"][-1]
    assert (raised["type"], raised["value"]) == ("RangeError", "order 17 has no price")
    assert [frame["function"] for frame in raised["frames"]][-2:] == ["checkout", "price"]
    top = raised["frames"][-1]
    assert top["filename"].endswith("node.mjs") and top["in_app"]
    assert "throw new RangeError(" in top["context_line"]
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "staging")
    assert event["tags"]["shelf"] == "a7" and event["user"]["id"] == "u-1"
    assert event["breadcrumbs"][-1]["message"] == "cart opened"
    assert event["platform"] == "node"


@pytest.mark.parametrize("path", ["/tunnel", "/whatever-is-free"])
def test_node_reports_through_a_tunnel(run_client: Run, program: Program, path: str) -> None:
    seen = report(run_client, program.dsn, program.server.url + path)
    assert set(seen["statuses"]) == {200} and seen["failures"] == []
    assert_is_the_order_without_a_price(program.event(seen["ids"][0]))


def test_node_with_a_wrong_key_is_told_403_and_nothing_is_kept(
    run_client: Run, program: Program
) -> None:
    seen = report(run_client, program.wrong_dsn)
    assert set(seen["statuses"]) == program.other_statuses() == {403}
    assert program.kinds() == set()


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_known_stream_of_node_is_on_every_page(
    run_client: Run, program: Program, person: Person, stream_file: Path, lifecycle: str
) -> None:
    done = run_client("node", PROGRAMS / "stream.mjs", program.dsn, lifecycle, stream_file)
    played = json.loads(done.stdout.splitlines()[-1])
    assert played["flushed"]
    is_streamed = lifecycle == "stream"
    assert_everything_is_found(program, person, played, is_streamed=is_streamed, has_check_ins=True)
