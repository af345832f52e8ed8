"""One result, one project, one file that fails: the others go on; a run costs what is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.delivery import results
from app.delivery.accounting import read_counters
from app.delivery.destination_sender import DestinationSender
from app.delivery.outcomes import DeliveryOutcome
from app.delivery.results import REDUCED, SET_APART
from app.delivery.tables import attempts, destinations
from app.store import utc_now
from tests.conftest import parts_of
from tests.delivery.shop import (
    accept,
    add_project,
    add_projects_that_wait,
    counting,
    id_of,
    refuse_attempts_of,
    state_of,
)
from tests.delivery_steps import accounting_of, deliver_until, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for

FAST = {"DELIVERY_BACKOFF_BASE_S": 0.05, "DELIVERY_BACKOFF_MAX_S": 0.2, "DELIVERY_BACKLOG_PER_S": 0}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(results, "WHOLE_TRIES", 2)


def counter_of(app: Flask, name: str) -> int:
    with parts_of(app).store.read() as conn:
        return read_counters(conn).get(name, 0)


def test_result_whose_attempt_cannot_be_written_stalls_nothing_and_its_outcome_is_kept(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    add_project(app, 7, mini_sentry.dsn)
    bad, *others = [accept(app, f"order {number}") for number in range(5)]
    elsewhere = accept(app, "of another destination", project_id=7)
    refuse_attempts_of(app, id_of(app, bad))
    deliver_until(app, lambda: state_of(app, bad) == "delivered")
    assert [state_of(app, one) for one in (*others, elsewhere)] == ["delivered"] * 5
    assert mini_sentry.event_ids().count(bad) == 1
    assert accounting_of(app)["balanced"]
    assert counter_of(app, SET_APART) == counter_of(app, REDUCED) == 1


@pytest.mark.parametrize("error", [ValueError("odd"), RecursionError(), KeyError("limits")])
def test_result_that_cannot_be_recorded_at_all_is_parked_with_a_reason_after_a_while(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    bad, *others = [accept(app, f"order {number}") for number in range(20)]
    bad_id, whole = id_of(app, bad), DestinationSender.outcome

    def failing(self: DestinationSender, due: Any, *rest: Any) -> DeliveryOutcome:
        if due.id == bad_id:
            raise error
        return whole(self, due, *rest)

    monkeypatch.setattr(DestinationSender, "outcome", failing)
    deliver_until(app, lambda: state_of(app, bad) == "parked")
    assert [state_of(app, other) for other in others] == ["delivered"] * 19
    assert mini_sentry.event_ids().count(bad) == 1
    assert accounting_of(app)["balanced"]


def test_project_whose_own_row_is_damaged_does_not_stop_the_others(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    add_project(app, 7, mini_sentry.dsn)
    add_project(app, 8, mini_sentry.dsn)
    broken = accept(app, "behind a damaged row", project_id=7)
    fine = [accept(app, "fine"), accept(app, "fine", project_id=8)]
    damage = {"limits": {"error": "no moment"}}
    with parts_of(app).store.write() as conn:
        row = destinations.c.project_id == 7
        conn.execute(update(destinations).where(row).values(dsn_hash=None, **damage))
    deliver_until(app, lambda: [state_of(app, one) for one in fine] == ["delivered"] * 2)
    assert state_of(app, broken) == "pending"


def test_step_that_fails_for_one_project_does_not_stop_the_others(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    add_project(app, 7, mini_sentry.dsn)
    own, other = accept(app, "own"), accept(app, "other", project_id=7)
    step = DestinationSender.step

    def failing(self: DestinationSender, *arguments: Any) -> list[DeliveryOutcome]:
        if self.project_id == 1:
            raise RuntimeError("no step")
        return step(self, *arguments)

    monkeypatch.setattr(DestinationSender, "step", failing)
    deliver_until(app, lambda: state_of(app, other) == "delivered")
    assert state_of(app, own) == "pending"


def test_damaged_file_of_the_emergency_folder_does_not_stop_the_files_after_it(app: Flask) -> None:
    parts = parts_of(app)
    folder = parts.intake.emergency
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "0.envelope").mkdir()
    record = '"received_at": "2026-01-01T00:00:00+00:00", "body": "", "scrubbed": []'
    for number, content in enumerate(
        [
            "",
            "[" * 100_000,
            '{"uid": "a", "project_id": [1], ' + record + "}",
            '{"uid": {}, "project_id": 1, ' + record + "}",
            '{"uid": "b", "project_id": 1, ' + record.replace("+00:00", "") + "}",
            '{"uid": "c", "project_id": 99999999999999999999999, ' + record + "}",
        ]
    ):
        (folder.path / f"{number}x.envelope").write_text(content)
    body = b'{}\n{"type":"event"}\n{"message":"kept"}\n'
    folder.put("f" * 32, 1, parts.started_at, body, [])
    assert parts.intake.recover() == 1
    assert folder.count() == 0
    assert len(list(folder.path.glob("*.damaged"))) == 7


# ---- what a run costs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", ["not due", "paused", "circuit open", "everything limited", "no DSN"]
)
def test_run_with_a_thousand_projects_of_which_none_is_due_costs_a_bounded_number_of_statements(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, reason: str
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    store, now = parts_of(app).store, utc_now()
    later = now + timedelta(hours=1)
    due = {} if reason == "not due" else {"next_at": now, "state": "pending", "attempts": 0}
    add_projects_that_wait(store, 1000, mini_sentry.dsn, **due)
    values: dict[str, object] = {
        "not due": {"failures": 1},
        "paused": {"paused_at": now},
        "circuit open": {"open_since": now, "probe_at": later},
        "everything limited": {"limits": {"": later.isoformat()}},
        "no DSN": {"dsn": None},
    }[reason]
    with store.write() as conn:
        conn.execute(update(destinations).values(**values))
    with forwarding(app) as forwarder:
        wait_for(lambda: forwarder.runs > 2)
        with counting() as statements:
            before = forwarder.runs
            wait_for(lambda: forwarder.runs >= before + 5)
            runs = forwarder.runs - before + 1
    assert len(statements) <= 6 * runs, statements[:12]


def test_project_whose_retry_becomes_due_among_a_thousand_that_wait_is_delivered(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, **FAST)
    add_projects_that_wait(parts_of(app).store, 1000, mini_sentry.dsn)
    event_id = accept(app, "among many", project_id=500)
    with forwarding(app):
        wait_for(lambda: state_of(app, event_id) == "delivered")
    with parts_of(app).store.read() as conn:
        assert len(conn.execute(select(attempts.c.id)).all()) == 1
