"""Feedback: read in both forms, kept with its envelope, shown with the issue it is about."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from app import sentry
from app.events.tables import envelopes, events
from app.intake.retention import Limits, prune, purge_deleted
from app.issues import triage
from app.issues.feedback import FeedbackFilter, _orphans, page_of_feedback
from app.issues.queries import count_matching
from app.issues.tables import feedback
from app.projects import create_project
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.feedback import MAX_MESSAGE, read_feedback
from app.store import Store, utc_now
from tests.conftest import parts_of, worker_of
from tests.delivery_steps import accounting_of, deliver
from tests.feedback_envelopes import feedback_item, report_item, said, send
from tests.mini_sentry import MiniSentry

UNKNOWN_ID = "e" * 32


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def capture(message: str = "it broke") -> str:
    return str(sentry.capture_message(message))


def event_item(event_id: str, message: str = "it broke") -> Item:
    return Item({"type": "event"}, {"event_id": event_id, "message": message})


def rows_of(store: Store, table: Any) -> int:
    with store.read() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


# ---- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        feedback_item(None),
        feedback_item("   "),
        feedback_item(["a"]),
        report_item(None),
        report_item({}),
        Item({"type": "feedback"}, {}),
        Item({"type": "feedback"}, {"contexts": {"feedback": "x"}}),
        Item({"type": "feedback"}, []),
        Item({"type": "user_report"}, b"no JSON"),
        Item({"type": "event"}, {"message": "x", "contexts": {"feedback": {"message": "x"}}}),
    ],
)
def test_what_says_nothing_is_no_feedback(item: Item) -> None:
    assert read_feedback(Envelope({}, [item])) == []


def test_fields_of_a_wrong_type_are_left_out_and_long_ones_are_cut() -> None:
    item = feedback_item("m" * 9000, "no id", name=["x"], contact_email="e" * 999, url={}, source=7)
    [found] = read_feedback(Envelope({}, [item]))
    assert (len(found.message), len(found.email or "")) == (MAX_MESSAGE, 320)
    assert (found.associated_event_id, found.name, found.url, found.source) == (
        None,
        None,
        None,
        "7",
    )


# ---- storing ------------------------------------------------------------------------------------


def test_feedback_stands_with_the_issue_of_its_event_and_is_no_issue(
    app: Flask, store: Store
) -> None:
    event_id = capture()
    dashed = str(uuid.UUID(event_id)).upper()
    send(app, feedback_item("dead", dashed, name="Ada", contact_email="a@x.org", source="widget"))
    send(app, report_item("dead, too", event_id, name="Bob", email="b@x.org"))
    report, widget = said(app)
    assert (widget.message, widget.name, widget.email) == ("dead", "Ada", "a@x.org")
    assert (report.message, report.name, report.email) == ("dead, too", "Bob", "b@x.org")
    assert {row.associated_event_id for row in said(app, issue_id=1)} == {event_id}
    assert (widget.title, widget.source, report.source) == ("it broke", "widget", "user_report")
    with store.read() as conn:
        assert count_matching(conn).number == 1
    assert rows_of(store, events) == 1


def test_feedback_that_is_called_an_event_becomes_no_issue(app: Flask, store: Store) -> None:
    about = {"message": "from Python", "associated_event_id": UNKNOWN_ID}
    sentry_sdk.capture_event({"type": "feedback", "contexts": {"feedback": about}})
    assert [row.message for row in said(app)] == ["from Python"]
    assert rows_of(store, events) == 0


def test_feedback_in_the_envelope_of_its_event_is_about_it(app: Flask) -> None:
    event_id = uuid.uuid4().hex
    send(app, event_item(event_id), report_item("together", event_id), event_id=event_id)
    assert [row.message for row in said(app, issue_id=1)] == ["together"]


def test_feedback_that_is_sent_again_is_one(app: Flask) -> None:
    item = feedback_item("once")
    for _ in range(2):
        send(app, item)
    assert len(said(app)) == 1


def test_event_of_another_project_is_not_what_feedback_is_about(app: Flask, store: Store) -> None:
    create_project(store, "Shop", 2)
    send(app, feedback_item("elsewhere", capture()), project_id=2)
    worker_of(app).run_once()
    [row] = said(app, project_id=2)
    assert row.issue_id is None


def test_feedback_before_its_event_finds_the_issue(app: Flask) -> None:
    event_id = uuid.uuid4().hex
    send(app, feedback_item("early", event_id))
    send(app, feedback_item("about nothing"))
    worker_of(app).run_once()
    assert {row.issue_id for row in said(app)} == {None}
    send(app, event_item(event_id), event_id=event_id)
    worker_of(app).run_once()
    assert [row.message for row in said(app, issue_id=1)] == ["early"]


def test_secrets_in_feedback_are_taken_out(app: Flask) -> None:
    send(app, feedback_item("my card is 4111 1111 1111 1111", name="Ada"))
    [row] = said(app)
    assert "4111" not in row.message and row.name == "Ada"


def test_feedback_that_was_set_aside_comes_back_once(app: Flask) -> None:
    parts = parts_of(app)
    body = serialize_envelope(Envelope({}, [report_item("kept aside", UNKNOWN_ID)]))
    for _ in range(2):
        parts.intake.emergency.put("d" * 32, 1, parts.started_at, body, [])
        assert parts.intake.recover() == 1
    assert [row.message for row in said(app)] == ["kept aside"]


def test_feedback_goes_on_to_sentry(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    send(app, feedback_item("tell them"))
    deliver(app)
    [item] = mini_sentry.envelopes[0].items
    assert item.payload["contexts"]["feedback"]["message"] == "tell them"


# ---- going --------------------------------------------------------------------------------------


def test_feedback_goes_with_its_deleted_issue_and_that_of_others_stays(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.pruning.BATCH_SIZE", 2)
    event_id, other = capture("one"), capture("two")
    for n in range(5):
        send(app, feedback_item(f"said {n}", event_id))
    # In one envelope with an event of an issue that stays.
    with_event = uuid.uuid4().hex
    send(app, event_item(with_event, "two"), feedback_item("x", event_id), event_id=with_event)
    send(app, feedback_item("stays", other))
    with store.write() as conn:
        triage.delete(conn, [1])
    assert [row.message for row in said(app)] == ["stays"]
    purge_deleted(store)
    assert rows_of(store, feedback) == 1
    assert (rows_of(store, events), rows_of(store, envelopes)) == (2, 3)
    assert accounting_of(app)["balanced"]


def test_undelivered_feedback_outlives_its_issue_only_to_be_delivered(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    send(app, feedback_item("tell them", capture()))
    with parts_of(app).store.write() as conn:
        triage.delete(conn, [1])
    purge_deleted(parts_of(app).store)
    assert said(app) == []
    deliver(app)
    arrived = sorted(envelope.item_types for envelope in mini_sentry.envelopes)
    assert arrived == [["event"], ["feedback"]]
    assert accounting_of(app)["balanced"]


def test_old_feedback_goes_with_retention(app: Flask, store: Store) -> None:
    send(app, feedback_item("old", capture()))
    with time_machine.travel(utc_now() + timedelta(days=31)):
        send(app, feedback_item("new"))
        assert prune(store, Limits(days=30, events=0, bytes=0)).envelopes == 2
    assert [row.message for row in said(app)] == ["new"]
    assert accounting_of(app)["balanced"]


def test_feedback_keeps_its_issue_when_its_event_is_pruned(app: Flask, store: Store) -> None:
    capture()
    event_id = capture()
    capture()
    send(app, feedback_item("about the second", event_id))
    with store.write() as conn:
        of_feedback = envelopes.c.item_types == "feedback"
        conn.execute(update(envelopes).where(of_feedback).values(state="pending"))
    with time_machine.travel(utc_now() + timedelta(days=31)):
        assert prune(store, Limits(days=30, events=0, bytes=0)).envelopes == 3
    assert [row.title for row in said(app, issue_id=1)] == ["it broke"]


# ---- cost ---------------------------------------------------------------------------------------


def test_pages_read_no_more_the_more_feedback_there_is(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    store.open()
    before = _steps(store)
    with store.write() as conn:
        row = {"project_id": 1, "envelope_id": 1, "message": "x", "received_at": utc_now()}
        conn.exec_driver_sql(
            "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at,"
            " size_bytes, body) VALUES (1, 'u', 1, 'feedback', 'local', '2026-11-24', 1, '')"
        )
        conn.execute(feedback.insert(), [row] * 3000)
    after = _steps(store)
    assert [name for name in before if after[name] > before[name] + 50] == []
    store.dispose()


def _steps(store: Store) -> dict[str, int]:
    """What questions cost that find nothing, in tens of steps of SQLite's machine."""
    about = FeedbackFilter(project_id=1, event_id=UNKNOWN_ID)
    counted: Counter[str] = Counter()
    with store.read() as conn:
        driver: Any = conn.connection.driver_connection
        for name, ask in {
            "event": lambda: page_of_feedback(conn, about).rows,
            "issue": lambda: page_of_feedback(conn, FeedbackFilter(issue_id=1)).rows,
            "waiting": lambda: _orphans(conn),
        }.items():
            driver.set_progress_handler(lambda name=name: counted.update([name]), 10)
            assert ask() == []
            driver.set_progress_handler(None, 0)
        return {name: counted[name] for name in ("event", "issue", "waiting")}
