"""An ignored issue that is open again is in one notification, and in none before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from app.issues import triage
from app.issues.ignore_until import IgnoreUntil
from app.issues.tables import issues
from tests.alert_steps import evaluate, only, store_events, titles
from tests.conftest import parts_of
from tests.issues.payloads import calls

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def happen(app: Flask, user: str) -> None:
    store_events(app, {**calls("charge", value="declined"), "user": {"id": user}})


def ignore(app: Flask, until: IgnoreUntil) -> None:
    with parts_of(app).store.write() as conn:
        triage.ignore(conn, [1], "ada", until=until)


@pytest.mark.parametrize("rule", ["regression", "new_issue"])
def test_one_message_when_the_users_are_there_and_none_before(app: Flask, rule: str) -> None:
    only(app, rule, cooldown_minutes=1)
    with time_machine.travel(NOON, tick=False) as clock:
        happen(app, "first")
        evaluate(app)
        told = titles(app)
        ignore(app, IgnoreUntil(users=3))
        for user in ("first", "a", "b"):
            clock.shift(timedelta(hours=1))
            happen(app, user)
            evaluate(app)
            assert titles(app) == told
        happen(app, "c")
        for _ in range(3):
            evaluate(app)
            clock.shift(timedelta(hours=1))
    back = "Back: ValueError: declined (ignored by ada 3 h ago until 3 more users; 3 more users"
    assert [title.startswith(back) for title in titles(app)[len(told) :]] == (
        [True] if rule == "regression" else []
    )


def test_message_says_the_numbers_of_what_is_worse(app: Flask) -> None:
    only(app, "regression")
    with time_machine.travel(NOON, tick=False) as clock:
        happen(app, "first")
        clock.shift(timedelta(hours=5))
        ignore(app, IgnoreUntil(worse=True))
        for number in range(12):
            happen(app, str(number))
        evaluate(app)
    [title] = titles(app)
    assert "until it gets worse; 12 events in the last hour, above 10" in title


def test_issue_that_is_ignored_again_at_once_is_not_told(app: Flask) -> None:
    only(app, "regression")
    happen(app, "first")
    ignore(app, IgnoreUntil(events=1))
    happen(app, "first")
    with parts_of(app).store.write() as conn:
        conn.execute(issues.update().values(status="unresolved", ignore_until=None))
        triage.ignore(conn, [1], "ada")
    evaluate(app)
    assert titles(app) == []
