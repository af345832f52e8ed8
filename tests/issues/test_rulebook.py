"""Rules of the user from the text to the row, in the intake, and on trial."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select

from app.events.tables import events
from app.issues import rulebook
from app.issues.groupings import grouping_of_event
from app.issues.queries import find_issue, transitions_of
from app.issues.rule_text import parse_rule
from app.issues.rulebook import (
    MAX_RULES,
    RuleBook,
    RuleError,
    add_rule,
    change_rule,
    find_rule,
    list_rules,
    place_rule,
    remove_rule,
)
from app.issues.tables import grouping_rules, issues
from app.issues.triage import set_status
from app.issues.trial import Trial, try_rule
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.store import Store, StoreUnavailable, utc_now
from tests.conftest import parts_of
from tests.issues.payloads import calls, error, py

TIMEOUT = "type:TimeoutError -> timeout-{{ transaction }}"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    yield store
    store.dispose()


def keep(store: Store, text: str, **fields: Any) -> rulebook.StoredRule:
    with store.write() as conn:
        kind = "fingerprint" if "->" in text else "ignore"
        return add_rule(conn, **{"kind": kind, "text": text, **fields})


def accept(app: Flask, payload: dict[str, Any], project_id: int = 1) -> Any:
    """Store an event and return its row."""
    event_id = uuid.uuid4().hex
    parts = parts_of(app)
    envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
    parts.intake.accept(envelope, project_id=project_id, timeout_s=5)
    with parts.store.read() as conn:
        return conn.execute(select(events).where(events.c.event_id == event_id)).one()


def issue_of(app: Flask, row: Any) -> Any:
    with parts_of(app).store.read() as conn:
        return find_issue(conn, row.issue_id)


def key_of(app: Flask, row: Any) -> str:
    """Return the key that an event is grouped by."""
    with parts_of(app).store.read() as conn:
        grouping = grouping_of_event(conn, row)
    assert grouping is not None
    return str(grouping.key)


# ---- keeping ------------------------------------------------------------------------------------


def test_rules_are_tried_in_the_order_in_which_they_were_added_until_they_are_moved(
    store: Store,
) -> None:
    first, second, third = (keep(store, f"type:{name}") for name in "ABC")
    with store.write() as conn:
        place_rule(conn, third.id, 1)
        assert [rule.id for rule in list_rules(conn)] == [third.id, first.id, second.id]
        place_rule(conn, third.id, 99)
        assert [rule.id for rule in list_rules(conn)] == [first.id, second.id, third.id]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("text", {"text": "type:"}),
        ("text", {"text": "type:A", "kind": "fingerprint"}),
        ("kind", {"kind": "drop"}),
        ("name", {"name": "n" * 201}),
        ("project_id", {"project_id": 77}),
    ],
)
def test_rule_that_cannot_be_is_not_kept(store: Store, field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(RuleError) as refused:
        keep(store, **{"text": "type:A", **fields})
    assert refused.value.field == field
    with store.read() as conn:
        assert list_rules(conn) == []


def test_rules_have_an_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebook, "MAX_RULES", 2)
    keep(store, "type:A")
    keep(store, "type:B")
    with pytest.raises(RuleError, match="no more"):
        keep(store, "type:C")
    assert MAX_RULES >= 50


def test_changed_rule_is_checked_as_a_new_one_is(store: Store) -> None:
    rule = keep(store, "type:A")
    with store.write() as conn:
        changed = change_rule(conn, rule, text="type:B", enabled=False)
        assert (changed.text, changed.enabled, changed.kind) == ("type:B", False, "ignore")
        with pytest.raises(RuleError):
            change_rule(conn, rule, kind="fingerprint")
        assert find_rule(conn, rule.id) == changed
        assert remove_rule(conn, rule.id) and not remove_rule(conn, rule.id)


# ---- in the intake ------------------------------------------------------------------------------


def test_fingerprint_rule_groups_what_comes_after_it(app: Flask) -> None:
    payload = {**calls("charge", type="TimeoutError"), "transaction": "checkout"}
    before = accept(app, payload)
    keep(parts_of(app).store, TIMEOUT, name="timeouts")
    parts_of(app).intake.rules.forget()
    after = accept(app, payload)
    assert before.issue_id != after.issue_id
    assert key_of(app, after) == "fingerprint\n- timeout-checkout"
    assert accept(app, {**error(type="TimeoutError"), "transaction": "checkout"}).issue_id == (
        after.issue_id
    )


def test_rule_of_another_project_and_a_disabled_one_do_nothing(app: Flask) -> None:
    store = parts_of(app).store
    create_project(store, "Other", 7)
    keep(store, TIMEOUT, project_id=7)
    keep(store, "type:*", enabled=False)
    row = accept(app, error(type="TimeoutError"))
    assert "timeout" not in key_of(app, row) and row.ignored_by is None
    assert "timeout" in key_of(app, accept(app, error(type="TimeoutError"), 7))


def test_ignored_event_is_stored_and_counted_in_an_ignored_issue(app: Flask) -> None:
    keep(parts_of(app).store, 'message:"*health*"', name="probes")
    payload = {"message": "health check failed"}
    row = accept(app, payload)
    again = accept(app, payload)
    issue = issue_of(app, row)
    assert (row.ignored_by, again.ignored_by) == ("probes", "probes")
    assert (issue.status, issue.times_seen, again.issue_id) == ("ignored", 2, row.issue_id)


def test_issue_that_a_person_looks_at_is_not_ignored_by_a_rule(app: Flask) -> None:
    row = accept(app, {"message": "health check failed"})
    keep(parts_of(app).store, 'message:"*health*"')
    parts_of(app).intake.rules.forget()
    again = accept(app, {"message": "health check failed"})
    assert again.ignored_by and again.issue_id == row.issue_id
    assert issue_of(app, row).status == "unresolved"


def test_ignored_event_does_not_reopen_what_is_resolved(app: Flask) -> None:
    row = accept(app, {"message": "health check failed"})
    with parts_of(app).store.write() as conn:
        set_status(conn, [row.issue_id], "resolved", "admin")
    keep(parts_of(app).store, 'message:"*health*"')
    parts_of(app).intake.rules.forget()
    accept(app, {"message": "health check failed"})
    assert issue_of(app, row).status == "resolved"


def test_history_says_which_rule_ignored_an_issue(app: Flask) -> None:
    keep(parts_of(app).store, 'message:"*health*"', name="probes")
    row = accept(app, {"message": "health check failed"})
    with parts_of(app).store.read() as conn:
        history = transitions_of(conn, row.issue_id, before=None, limit=9)
    assert [(one.kind, one.actor) for one in history] == [
        ("ignored", "rule: probes"),
        ("first_seen", None),
    ]


def test_rule_that_cannot_be_read_is_skipped_and_logged(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    store = parts_of(app).store
    with store.write() as conn:
        row = {"kind": "ignore", "name": "", "text": "colour:red", "position": 1, "enabled": True}
        conn.execute(insert(grouping_rules).values(**row, created_at=utc_now()))
    keep(store, "type:ValueError")
    assert accept(app, calls("charge")).ignored_by == "type:ValueError"
    assert caplog.text.count("cannot be read and is skipped") == 1


def test_change_by_another_process_is_noticed(store: Store) -> None:
    book = RuleBook(store)
    assert book.rules_of(1) == []
    rule = keep(store, "type:A")
    _until(lambda: [one.id for one in book.rules_of(1)] == [rule.id])
    with store.write() as conn:
        remove_rule(conn, rule.id)
    _until(lambda: book.rules_of(1) == [])


def test_last_rules_go_on_to_apply_while_the_store_does_not_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = RuleBook(store)
    keep(store, "type:A")
    assert len(book.rules_of(1)) == 1

    def fail() -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "read", fail)
    book.forget()
    assert len(book.rules_of(1)) == 1


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


# ---- trying -------------------------------------------------------------------------------------


def _try(app: Flask, text: str, *, id: int = 0, **options: Any) -> Trial:
    kind: Any = "fingerprint" if "->" in text else "ignore"
    with parts_of(app).store.read() as conn:
        rule = parse_rule(text, kind=kind, id=id, name="on trial")
        return try_rule(conn, rule, list_rules(conn), **options)


def test_trial_says_where_events_would_go_and_changes_nothing(app: Flask) -> None:
    slow = accept(app, error(py("shop.pay:charge"), type="TimeoutError", value="slow"))
    accept(app, error(py("shop.pay:charge"), type="TimeoutError", value="slower"))
    accept(app, error(py("shop.pay:refund"), type="TimeoutError"))
    accept(app, error(py("shop.pay:charge"), type="KeyError"))
    trial = _try(app, "type:TimeoutError -> timeouts")
    assert (trial.tried, trial.matched) == (4, 3)
    assert [move.count for move in trial.moves] == [2, 1]
    largest = trial.moves[0]
    assert largest.from_issue_id == slow.issue_id and largest.from_key.startswith("TimeoutError at")
    assert largest.grouping.key == "fingerprint\n- timeouts" and largest.issue_id is None
    assert largest.grouping.reason == "rule: on trial" and slow.event_id in largest.event_ids
    with parts_of(app).store.read() as conn:
        assert len(conn.execute(select(issues.c.id)).all()) == 3
        assert list_rules(conn) == []


def test_trial_names_the_issue_that_events_would_join(app: Flask) -> None:
    joined = accept(app, {**error(type="TimeoutError"), "fingerprint": ["timeouts"]})
    accept(app, error(py("shop.pay:charge"), type="TimeoutError"))
    moves = _try(app, "type:TimeoutError -> timeouts").moves
    assert {(move.issue_id, move.stays) for move in moves} == {
        (joined.issue_id, True),
        (joined.issue_id, False),
    }


def test_trial_of_an_ignore_rule_says_what_it_would_ignore(app: Flask) -> None:
    accept(app, {"message": "health check failed"})
    [move] = _try(app, "message:health*").moves
    assert move.grouping.ignored_by == "on trial" and move.stays


def test_trial_puts_a_rule_where_it_stands_and_new_ones_last(app: Flask) -> None:
    accept(app, error(type="TimeoutError"))
    kept = keep(parts_of(app).store, "type:TimeoutError -> first")
    keep(parts_of(app).store, "type:Timeout* -> second")
    [new] = _try(app, "type:* -> third").moves
    assert new.grouping.key == "fingerprint\n- first"
    [edited] = _try(app, "type:* -> edited", id=kept.id).moves
    assert edited.grouping.key == "fingerprint\n- edited"


def test_trial_keeps_to_its_project_and_its_limits(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_project(parts_of(app).store, "Other", 7)
    for project_id in (1, 1, 7):
        accept(app, error(type="TimeoutError", value="v" * 100), project_id)
    assert _try(app, "type:*").tried == 3
    assert _try(app, "type:*", project_id=7).tried == 1
    assert _try(app, "type:*", limit=2).tried == 2
    monkeypatch.setattr("app.issues.trial.MAX_BYTES", 300)
    assert _try(app, "type:*").tried == 1
