"""New issues and regressions: told once, whatever happens in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, func, select, text

from app.alerts import issue_alerts
from app.issues import rulebook, triage
from app.issues.tables import ALERTS_DUE, issues, transitions
from app.projects import create_project
from tests.alert_steps import (
    add_rule,
    evaluate,
    only,
    rule_now,
    store_events,
    titles,
)
from tests.conftest import parts_of
from tests.issues.payloads import calls

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def due(app: Flask) -> int:
    query = select(func.count()).select_from(transitions).where(text(ALERTS_DUE))
    with parts_of(app).store.read() as conn:
        return conn.execute(query).scalar_one()


def change(app: Flask, action: str, title: str) -> None:
    with parts_of(app).store.write() as conn:
        [issue_id] = conn.scalars(select(issues.c.id).where(issues.c.title == title))
        getattr(triage, action)(conn, [issue_id], *([] if action == "delete" else ["me"]))


def test_new_issue_is_told_once_and_its_repeats_are_not(app: Flask) -> None:
    only(app, "new_issue", name="Anything new")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    store_events(app, *[calls("charge", value="declined")] * 3)
    evaluate(app)
    assert titles(app) == ["New issue: ValueError: declined"]
    assert due(app) == 0


def test_issue_that_comes_back_is_told_by_regression_alone(app: Flask) -> None:
    only(app, "regression")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    assert titles(app) == []
    change(app, "resolve", "ValueError: declined")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    assert titles(app) == ["Back: ValueError: declined (resolved by me just now)"]


def test_what_comes_within_the_cool_down_is_told_together_when_it_is_over(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule = only(app, "new_issue", cooldown_minutes=10)
        for number in range(5):
            store_events(app, calls(f"f{number}", value=f"number {number}"))
            evaluate(app)
            clock.shift(timedelta(minutes=1))
        assert titles(app) == ["New issue: ValueError: number 0"]
        assert rule_now(app, rule).held == 4
        clock.shift(timedelta(minutes=5))
        evaluate(app)
        assert titles(app)[1:] == ["DevEnviro: 4 new issues"]
        clock.shift(timedelta(minutes=30))
        evaluate(app)
        assert len(titles(app)) == 2 and rule_now(app, rule).held == 0


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({}, True),
        ({"level": "error"}, True),
        ({"level": "fatal"}, False),
        ({"environment": "production"}, True),
        ({"environment": "staging"}, False),
        ({"release": "shop@*"}, True),
        ({"release": "shop@2*"}, False),
        ({"type": "value*"}, True),
        ({"type": "KeyError"}, False),
        ({"message": "declined"}, True),
        ({"message": "ValueError: declined"}, True),
        ({"message": "*clin*"}, True),
        ({"message": "declined by"}, False),
    ],
)
def test_rule_is_narrowed(app: Flask, filters: dict[str, str], told: bool) -> None:
    only(app, "new_issue", filters=filters)
    payload = calls("charge", value="declined")
    store_events(app, {**payload, "environment": "production", "release": "shop@1.2"})
    evaluate(app)
    assert bool(titles(app)) is told and due(app) == 0


@pytest.mark.parametrize("action", ["ignore", "delete"])
def test_issue_that_a_person_put_away_before_the_turn_is_not_told(app: Flask, action: str) -> None:
    only(app, "new_issue")
    store_events(app, calls("charge", value="declined"))
    change(app, action, "ValueError: declined")
    evaluate(app)
    assert titles(app) == [] and due(app) == 0


def test_other_projects_issue_is_not_told(app: Flask) -> None:
    other = create_project(parts_of(app).store, "Shop")
    only(app, "new_issue")
    store_events(app, calls("charge"), project_id=other.id)
    evaluate(app)
    assert titles(app) == []
    add_rule(app, "new_issue", project_id=other.id)
    store_events(app, calls("refund"), project_id=other.id)
    evaluate(app)
    assert len(titles(app)) == 1


def test_deleted_issue_hides_no_later_one(app: Flask) -> None:
    # SQLite gives the ids of deleted rows to the next ones: a number to read on from missed those.
    only(app, "new_issue", cooldown_minutes=1)
    with time_machine.travel(NOON, tick=False) as clock:
        store_events(app, calls("one", value="one"), calls("two", value="two"))
        evaluate(app)
        with parts_of(app).store.write() as conn:
            conn.execute(delete(transitions))
        clock.shift(timedelta(minutes=2))
        store_events(app, calls("three", value="three"))
        evaluate(app)
    assert titles(app)[-1] == "New issue: ValueError: three"


def test_turn_that_fails_tells_the_next_time_and_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(app, "new_issue")
    store_events(app, calls("charge", value="declined"))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(issue_alerts, "notify", fail)
        with pytest.raises(RuntimeError):
            evaluate(app)
    assert titles(app) == [] and due(app) == 1
    evaluate(app)
    assert titles(app) == ["New issue: ValueError: declined"]


def test_event_that_a_rule_of_grouping_ignores_is_not_told(app: Flask) -> None:
    only(app, "new_issue")
    with parts_of(app).store.write() as conn:
        rulebook.add_rule(conn, kind="ignore", text="type:ValueError")
    parts_of(app).intake.rules.forget()
    store_events(app, calls("charge"))
    evaluate(app)
    assert titles(app) == [] and due(app) == 0
