"""A decision is undone exactly, once, by the user who made it, and leaves a row in the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import sentry
from app.issues import triage
from app.issues.ignore_until import IgnoreUntil
from app.issues.tables import issues, transitions
from app.issues.undo import Decision, find_decision, new_token, remember, undo, values_of
from app.store import utc_now
from tests.conftest import parts_of

CHANGES = {
    "resolved": lambda conn: triage.resolve(conn, [1], "ada"),
    "ignored": lambda conn: triage.ignore(conn, [1], "ada", until=IgnoreUntil(worse=True)),
    "reopened": lambda conn: triage.reopen(conn, [1], "ada"),
    "assigned": lambda conn: triage.assign(conn, [1], "admin", "ada"),
}


def decide(app: Flask, change: Any) -> Decision:
    with parts_of(app).store.write() as conn:
        former = values_of(conn, [1])
        changed = change(conn)
        decision = Decision(new_token(), "done", former, values_of(conn, changed))
        remember(conn, "ada", decision)
    return decision


def row(app: Flask) -> Any:
    with parts_of(app).store.read() as conn:
        return conn.execute(select(issues).where(issues.c.id == 1)).one()


def history(app: Flask) -> list[str]:
    with parts_of(app).store.read() as conn:
        return [f"{r.kind} {r.note or ''}".strip() for r in conn.execute(select(transitions))]


def undo_last(app: Flask, token: str, actor: str = "ada") -> Any:
    with parts_of(app).store.write() as conn:
        decision = find_decision(conn, actor, token)
        return tuple(undo(conn, actor, decision)) if decision else None


@pytest.mark.parametrize("first", ["resolved", "ignored", "assigned"])
def test_issue_is_exactly_as_before(app: Flask, admin_client: FlaskClient, first: str) -> None:
    sentry.capture_message("one")
    decide(app, CHANGES[first])
    before = row(app)
    for name in {"resolved", "ignored", "reopened"} - {first}:
        decision = decide(app, CHANGES[name])
        if not decision.now:
            continue
        assert row(app) != before
        assert undo_last(app, decision.token) == (1, 0)
        assert row(app) == before
        assert history(app)[-1].endswith("undone")


def test_user_who_was_removed_gets_no_issue_back(app: Flask) -> None:
    sentry.capture_message("one")
    accounts = parts_of(app).accounts
    accounts.add_user("bob", "a long password", "member")
    accounts.add_user("carol", "a long password", "member")
    decide(app, lambda conn: triage.assign(conn, [1], "bob", "ada"))
    decision = decide(app, lambda conn: triage.assign(conn, [1], "carol", "ada"))
    accounts.remove_user("bob")
    assert undo_last(app, decision.token) == (1, 0)
    assert row(app).assigned_to is None
    assert history(app)[-1] == "assigned to nobody (undone)"


def test_undo_of_an_assignment_says_to_whom(app: Flask, admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    decision = decide(app, CHANGES["assigned"])
    assert undo_last(app, decision.token) == (1, 0)
    assert row(app).assigned_to is None
    assert history(app)[-2:] == ["assigned to admin", "assigned to nobody (undone)"]


def test_issue_that_was_changed_since_stays(app: Flask, admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    decision = decide(app, CHANGES["resolved"])
    with parts_of(app).store.write() as conn:
        triage.reopen(conn, [1], "bob")
    assert undo_last(app, decision.token) == (0, 1)
    assert history(app)[-1] == "reopened"


def test_decision_is_undone_once_and_by_its_user(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentry.capture_message("one")
    decision = decide(app, CHANGES["resolved"])
    assert undo_last(app, decision.token, "bob") is None
    assert undo_last(app, "x" * 16) is None
    later = utc_now() + timedelta(hours=2)
    with monkeypatch.context() as patch:
        patch.setattr("app.issues.undo.utc_now", lambda: later)
        assert undo_last(app, decision.token) is None
    assert undo_last(app, decision.token) == (1, 0)
    assert undo_last(app, decision.token) is None
