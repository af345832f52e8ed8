"""Retention: limits hold, and what must stay stays."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from app.delivery import accounting
from app.events.tables import envelopes
from app.intake.retention import Limits, excess, prune
from app.intake.store_bound import used_bytes
from app.projects import create_project, projects
from app.protocol.envelope import Envelope, Item
from app.store import Store
from app.store.tables import leases
from config import ROOT
from tests.conftest import parts_of, worker_of
from tests.lease_expiry import let_leases_pass
from tests.signals.logs.steps import ago, entry
from tests.signals.logs.steps import send as send_lines

NO_LIMIT = Limits(days=0, events=0, bytes=0)


def fill(
    app: Flask, count: int, message: str = "the same", padding: int = 0, project_id: int = 1
) -> None:
    intake = parts_of(app).intake
    for _ in range(count):
        # Random, since what repeats is compressed away.
        payload = {"message": message, "extra": {"padding": secrets.token_urlsafe(padding)}}
        item = Item({"type": "event"}, payload)
        intake.accept(Envelope({}, [item]), project_id=project_id, timeout_s=10)


STEPS = [
    "app.intake.retention.expiry.roll_up",
    "app.intake.retention.session_expiry.settle",
    "app.intake.retention.bound_history",
    "app.intake.retention._ledger",
    "app.intake.retention._by_age",
    "app.intake.retention.expired_issues.expire",
]


@pytest.mark.parametrize("failing", STEPS)
def test_step_that_fails_stops_no_other_and_the_command_says_so(
    app: Flask,
    runner: FlaskCliRunner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failing: str,
) -> None:
    done: list[str] = []

    def step(name: str) -> Callable[..., int]:
        def run(*args: object) -> int:
            done.append(name)
            if name == failing:
                raise RuntimeError("a damaged page")
            return 0

        return run

    for name in STEPS:
        monkeypatch.setattr(name, step(name))
    # One project's payloads grow old, so that each step has something to do.
    with parts_of(app).store.write() as conn:
        conn.execute(update(projects).values(retention_days=1))
    result = runner.invoke(args=["prune"])
    assert set(done) == set(STEPS)
    assert result.exit_code == 1
    assert "these steps of pruning failed: " in result.output
    assert "lines of logs removed" in result.output
    assert "a damaged page" in caplog.text


def session(app: Flask) -> None:
    item = Item({"type": "session"}, {"sid": "1"})
    parts_of(app).intake.accept(Envelope({}, [item]), project_id=1, timeout_s=10)


def counts(app: Flask) -> tuple[int, int, bool]:
    """Events, envelopes accepted, and whether the accounting adds up."""
    status = app.test_client().get("/system/status").json
    accounts = status["accounting"]
    return status["store"]["events"], accounts["accepted"], accounts["balanced"]


def test_old_events_go_the_first_and_last_of_an_issue_too(app: Flask) -> None:
    with time_machine.travel("2026-01-01T00:00:00Z"):
        fill(app, 5)
        fill(app, 1, "seen once")
        session(app)
    with time_machine.travel("2026-03-01T00:00:00Z"):
        fill(app, 2)
        assert prune(parts_of(app).store, Limits(days=30, events=0, bytes=0)).envelopes == 7
    assert counts(app) == (2, 9, True)
    issues = app.test_client().get("/api/issues").json["issues"]
    assert {issue["title"]: issue["stored_event_count"] for issue in issues} == {
        "the same": 2,
    }
    assert {issue["times_seen"] for issue in issues} == {7}


def set_days(app: Flask, project_id: int, days: int | None) -> None:
    with parts_of(app).store.write() as conn:
        statement = update(projects).where(projects.c.id == project_id)
        conn.execute(statement.values(retention_days=days))


def test_days_of_a_project_win_over_the_settings(app: Flask) -> None:
    store = parts_of(app).store
    days = {2: 7, 3: 365, 4: 0, 5: None}  # 0 is no limit; None is as RETENTION_DAYS says.
    for project_id, own in days.items():
        create_project(store, f"Project {project_id}", project_id)
        set_days(app, project_id, own)
    with time_machine.travel("2026-01-01T00:00:00Z"):
        for project_id in days:
            fill(app, 5, project_id=project_id)
    limits = Limits(days=90, events=0, bytes=0)

    def pruned_at(moment: str) -> tuple[int, int]:
        with time_machine.travel(moment):
            beyond = excess(store, limits)
            return beyond, prune(store, limits).envelopes

    assert pruned_at("2026-01-07T00:00:00Z") == (0, 0)
    assert pruned_at("2026-01-09T00:00:00Z") == (5, 5)
    assert kept(app) == {3: 5, 4: 5, 5: 5}
    assert pruned_at("2026-04-02T00:00:00Z") == (5, 5)
    assert kept(app) == {3: 5, 4: 5}
    assert pruned_at("2030-01-01T00:00:00Z") == (5, 5)
    assert kept(app) == {4: 5}
    assert counts(app)[2]


def test_days_of_a_project_hold_without_any_in_the_settings(app: Flask) -> None:
    create_project(parts_of(app).store, "Shop", 2)
    set_days(app, 2, 7)
    with time_machine.travel("2026-01-01T00:00:00Z"):
        fill(app, 3, project_id=1)
        fill(app, 3, project_id=2)
    assert prune(parts_of(app).store, NO_LIMIT).envelopes == 3
    assert kept(app) == {1: 3}


def kept(app: Flask) -> dict[int, int]:
    with parts_of(app).store.read() as conn:
        return dict(Counter(conn.scalars(select(envelopes.c.project_id))))


def test_count_is_brought_down_to_the_limit_in_bites(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.pruning.BATCH_SIZE", 3)
    fill(app, 12)
    batches: list[int] = []
    limits = Limits(days=0, events=5, bytes=0)
    assert excess(parts_of(app).store, limits) == 7
    assert prune(parts_of(app).store, limits, batches.append).envelopes == 7
    assert batches == [3, 3, 1]
    assert counts(app) == (5, 12, True)


def test_count_holds_in_the_end_and_repeats_go_first(app: Flask) -> None:
    fill(app, 1, "seen once")
    fill(app, 4)
    store = parts_of(app).store
    assert prune(store, Limits(days=0, events=3, bytes=0)).envelopes == 2
    assert stored_by_title(app) == {"seen once": 1, "the same": 2}
    assert prune(store, Limits(days=0, events=1, bytes=0)).envelopes == 2
    assert stored_by_title(app) == {"seen once": 0, "the same": 1}
    assert counts(app) == (1, 5, True)


def stored_by_title(app: Flask) -> dict[str, int]:
    issues = app.test_client().get("/api/issues").json["issues"]
    return {issue["title"]: issue["stored_event_count"] for issue in issues}


def test_bytes_in_use_are_brought_below_the_limit(app: Flask) -> None:
    store = parts_of(app).store
    fill(app, 60, padding=100_000)
    before = used_bytes(store)
    prune(store, Limits(days=0, events=0, bytes=before // 2))
    assert used_bytes(store) <= before // 2
    assert counts(app)[2]


def test_limit_that_cannot_be_met_ends_the_pruning(app: Flask) -> None:
    fill(app, 4)
    with parts_of(app).store.write() as conn:
        conn.exec_driver_sql("UPDATE envelopes SET state = 'pending' WHERE id <= 2")
        accounting.move(conn, [("state:local", "state:pending")] * 2)
    assert prune(parts_of(app).store, Limits(days=0, events=1, bytes=1)).envelopes == 2
    assert counts(app) == (2, 4, True)


def test_what_is_not_settled_stays(app: Flask) -> None:
    fill(app, 5)
    with parts_of(app).store.write() as conn:
        conn.exec_driver_sql("UPDATE envelopes SET state = 'pending'")
    assert prune(parts_of(app).store, Limits(days=0, events=1, bytes=1)).envelopes == 0
    assert counts(app)[0] == 5


def test_no_limits_remove_nothing(app: Flask) -> None:
    fill(app, 3)
    assert prune(parts_of(app).store, NO_LIMIT).envelopes == 0


def test_command_prunes_and_says_what_went(make_app: Callable[..., Flask]) -> None:
    app = make_app(RETENTION_EVENTS=3)
    fill(app, 8)
    runner: FlaskCliRunner = app.test_cli_runner()
    result = runner.invoke(args=["prune"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "5 envelopes and 0 lines of logs removed" in result.output


def test_command_says_how_many_lines_of_logs_went(make_app: Callable[..., Flask]) -> None:
    app = make_app(LOG_RETENTION_DAYS=3)
    send_lines(parts_of(app), *(entry(f"day {n}", ago(days=n, minutes=1)) for n in range(1, 6)))
    result = app.test_cli_runner().invoke(args=["prune"])
    assert "0 envelopes and 3 lines of logs removed" in result.output
    assert "LOG_RETENTION_DAYS" in app.test_cli_runner().invoke(args=["prune", "--help"]).output


def test_background_loop_prunes_once_an_hour_by_whoever_holds_the_lease(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(RETENTION_EVENTS=3)
    first, second = worker_of(app), worker_of(app)
    with time_machine.travel("2026-11-23T12:00:00Z") as clock:
        fill(app, 8)
        first.run_once()
        assert counts(app)[0] == 3
        fill(app, 2)
        second.run_once()
        assert counts(app)[0] == 5
        clock.shift(timedelta(hours=2))
        let_leases_pass(parts_of(app).store, timedelta(hours=2))
        second.run_once()
        assert counts(app)[0] == 3


def test_background_loop_takes_in_what_was_set_aside(app: Flask) -> None:
    parts = parts_of(app)
    parts.intake.emergency.put("c" * 32, 1, parts.started_at, b'{}\n{"type":"event"}\n{}\n', [])
    worker_of(app).run_once()
    assert counts(app) == (1, 1, True)


def test_worker_command_works_until_it_is_told_to_stop(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path), "ADMIN_PASSWORD": "long enough", "API_TOKEN": "t" * 20}
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "worker"],
        cwd=ROOT,
        env={**os.environ, **environ, "SENTRY_DEBUG": "false"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    with process.stderr:
        assert "runs" in process.stderr.readline()
        process.terminate()
        assert process.wait(20) == 0
    store = Store(f"sqlite:///{tmp_path / 'devenviro.sqlite3'}")
    with store.read() as conn:
        assert list(conn.scalars(select(leases.c.name))) == ["retention"]  # it held the lease
    store.dispose()
