"""Resolve, ignore, reopen, comment, delete: what changes, what is written, what stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Connection, func, select, update

from app import sentry
from app.delivery.accounting import accounting
from app.events.tables import envelopes, events
from app.intake.retention import Limits, prune, purge_deleted
from app.issues import triage
from app.issues.filter import IssueFilter
from app.issues.queries import (
    count_matching,
    find_issue,
    list_issues,
    transitions_of,
)
from app.issues.tables import issue_days, issue_hours, issue_tags, issues, transitions
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE
from app.store import Store, utc_now
from tests.conftest import parts_of, worker_of
from tests.delivery_steps import accounting_of, deliver
from tests.mini_sentry import MiniSentry


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def capture(*messages: str) -> list[str]:
    return [str(sentry.capture_message(message)) for message in messages]


def history(store: Store, issue_id: int = 1) -> list[tuple[str, str | None]]:
    with store.read() as conn:
        return [(row.kind, row.actor) for row in transitions_of(conn, issue_id)][::-1]


def rows_of(store: Store, table) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def test_each_change_is_a_row_with_its_actor(store: Store) -> None:
    capture("one")
    with store.write() as conn:
        assert triage.resolve(conn, [1], "ada") == [1]
        assert triage.reopen(conn, [1], None) == [1]
        assert triage.ignore(conn, [1], "token:ci") == [1]
    assert history(store)[1:] == [("resolved", "ada"), ("reopened", None), ("ignored", "token:ci")]


def test_doing_again_what_is_done_changes_nothing_and_writes_no_row(store: Store) -> None:
    capture("one", "two")
    with store.write() as conn:
        triage.resolve(conn, [1], "ada")
        assert triage.resolve(conn, [1, 2, 77], "bob") == [2]  # the unknown one is left out
        assert triage.reopen(conn, [77], "bob") == []
    assert history(store)[1:] == [("resolved", "ada")]
    assert history(store, 2)[1:] == [("resolved", "bob")]


def test_everything_that_matches_is_changed_in_batches_but_what_came_later_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triage, "BATCH_SIZE", 2)
    capture("shop a", "shop b", "other", "shop c", "shop d", "shop e")
    with store.read() as conn:
        highest = triage.highest_id(conn)
    capture("shop late")
    sizes = []
    for ids in triage.in_batches(store, IssueFilter(q="shop"), highest):
        sizes.append(len(ids))
        with store.write() as conn:
            triage.resolve(conn, ids, "ada")
    assert sizes == [2, 2, 1]
    with store.read() as conn:
        open_ones = [row.title for row in list_issues(conn, IssueFilter(status="unresolved"))]
    assert open_ones == ["shop late", "other"]


def test_comment_is_kept_and_cut_and_needs_its_issue(store: Store) -> None:
    capture("one")
    with store.write() as conn:
        assert triage.comment(conn, 1, "seen\x00 " + "x" * 20_000, "ada")
        assert triage.comment(conn, 77, "seen", "ada") is None
    with store.read() as conn:
        row = transitions_of(conn, 1)[0]
    assert (row.kind, row.actor, len(row.note)) == ("commented", "ada", triage.MAX_NOTE)
    assert "\x00" not in row.note


# ---- deleting -----------------------------------------------------------------------------------


def test_deleted_issue_is_gone_with_all_that_it_had_and_the_accounting_adds_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.pruning.BATCH_SIZE", 2)
    sentry.set_user_context("u1")
    capture("one", "one", "one", "two")
    with store.write() as conn:
        assert triage.delete(conn, [1, 77]) == [1]
    with store.read() as conn:
        assert find_issue(conn, 1) is None
        (other,) = list_issues(conn)
        assert (other.title, count_matching(conn).number) == ("two", 1)
    assert purge_deleted(store) == 3  # two batches of events, then the issue with its users
    assert rows_of(store, events) == rows_of(store, envelopes) == 1
    for table in (issues, transitions, issue_hours):
        assert rows_of(store, table) == 1, table
    for counted in (affected_users, affected_days):
        with store.read() as conn:
            of_issues = select(counted.c.of_id).where(counted.c.kind == ISSUE)
            assert list(conn.scalars(of_issues)) == [other.id], counted
    with store.read() as conn:
        assert set(conn.scalars(select(issue_tags.c.issue_id))) == {other.id}
        totals = accounting(conn)
    assert (totals["accepted"], totals["local"], totals["balanced"]) == (4, 4, True)


def test_error_that_happens_after_its_issue_was_deleted_makes_a_new_one(store: Store) -> None:
    capture("one")
    with store.write() as conn:
        triage.delete(conn, [1])
    capture("one")  # before anything was removed
    purge_deleted(store)
    with store.read() as conn:
        (issue,) = list_issues(conn)
    assert (issue.times_seen, issue.stored_event_count, issue.status) == (1, 1, "unresolved")
    assert history(store, issue.id) == [("first_seen", None)]


@pytest.mark.parametrize("state", ["pending", "retry", "parked", "expired"])
def test_envelope_still_to_be_delivered_outlives_its_issue(
    app: Flask, store: Store, state: str
) -> None:
    waiting, _ = capture("one", "one")
    with store.write() as conn:
        of_first = envelopes.c.event_id == waiting
        conn.execute(update(envelopes).where(of_first).values(state=state))
        conn.exec_driver_sql("UPDATE counters SET value = 1 WHERE name = 'state:local'")
        conn.exec_driver_sql(f"INSERT INTO counters (name, value) VALUES ('state:{state}', 1)")
        triage.delete(conn, [1])
    purge_deleted(store)
    with store.read() as conn:
        assert list(conn.scalars(select(envelopes.c.event_id))) == [waiting]
        assert accounting(conn)["balanced"]
    client = app.test_client()
    assert client.get(f"/api/events/{waiting}").status_code == 404
    assert client.get("/api/events").json["events"] == []
    assert client.get("/system/status").json["accounting"]["balanced"]


@pytest.mark.parametrize("when", ["before it is sent", "while it is sent"])
def test_event_whose_issue_was_deleted_is_delivered_and_then_pruned(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, when: str
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    store = parts_of(app).store
    (event_id,) = capture("one")

    def remove(*_: object) -> None:
        with store.write() as conn:
            triage.delete(conn, [1])
        purge_deleted(store)

    if when == "before it is sent":
        remove()
    else:
        mini_sentry.answer = remove
    deliver(app)
    assert mini_sentry.event_ids() == [event_id]
    assert rows_of(store, events) == rows_of(store, issues) == 0
    assert accounting_of(app)["delivered"] == 1
    with time_machine.travel(utc_now() + timedelta(days=50)):
        assert prune(store, Limits(days=30, events=0, bytes=0)).envelopes == 1
    totals = accounting_of(app)
    assert (totals["delivered"], totals["balanced"]) == (1, True)


def test_background_loop_removes_what_a_request_left(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.pruning.BATCH_SIZE", 1)
    capture("one", "one", "one")
    with store.write() as conn:
        triage.delete(conn, [1])
    assert purge_deleted(store, at_most=1) == 1
    assert rows_of(store, events) == 2
    worker_of(app).run_once()
    assert rows_of(store, events) == rows_of(store, issues) == 0


def test_hours_become_days_after_a_week(store: Store) -> None:
    capture("one")
    with time_machine.travel(utc_now() + timedelta(days=6)):
        prune(store, Limits(days=0, events=0, bytes=0))
        assert rows_of(store, issue_hours) == 1
    with time_machine.travel(utc_now() + timedelta(days=9)):
        prune(store, Limits(days=0, events=0, bytes=0))
    assert (rows_of(store, issue_hours), rows_of(store, issue_days)) == (0, 1)


# ---- what it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [triage.delete, lambda conn, ids: triage.ignore(conn, ids, "a")])
def test_changing_a_batch_of_issues_looks_at_no_other_issue(
    tmp_path: Path, action: Callable[[Connection, list[int]], list[int]]
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    store.open()
    ids = list(range(1, 41))
    steps = []
    for first, last in ((1, 100), (101, 5000)):
        add_issues(store, range(first, last + 1))
        with store.write() as conn:
            steps.append(steps_of(conn, lambda conn=conn: action(conn, ids)))  # type: ignore[misc]
            conn.rollback()
    store.dispose()
    assert steps[1] < 2 * steps[0]


def add_issues(store: Store, ids: range) -> None:
    now = utc_now()
    texts = dict.fromkeys(("title", "culprit", "type"), "x")
    counts = dict.fromkeys(("times_seen", "stored_event_count", "users"), 0)
    row = {"project_id": 1, "level": "error", "first_seen": now, "last_seen": now}
    row |= {**texts, **counts}
    with store.write() as conn:
        conn.execute(issues.insert(), [{**row, "id": id} for id in ids])


def steps_of(conn: Connection, action: Callable[[], list[int]]) -> int:
    """Return how many instructions SQLite took, in tens."""
    driver = conn.connection.dbapi_connection
    assert driver is not None
    taken: list[None] = []
    driver.set_progress_handler(lambda: taken.append(None), 10)
    assert len(action()) == 40
    driver.set_progress_handler(None, 10)
    return len(taken)
