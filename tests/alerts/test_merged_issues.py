"""Alerts of issues that are merged and taken apart: nobody is told twice of the same."""

from __future__ import annotations

from datetime import timedelta

import time_machine
from flask import Flask
from sqlalchemy import select

from app.issues import merging
from app.issues.groupings import groupings_of
from app.issues.moving import finish_moves
from app.issues.tables import issues
from tests.alert_steps import evaluate, only, rule_now, store_events, titles
from tests.alerts.test_naming import NOON, error
from tests.conftest import parts_of


def ids_of(app: Flask) -> list[int]:
    with parts_of(app).store.read() as conn:
        return list(conn.scalars(select(issues.c.id).order_by(issues.c.id)))


def merge(app: Flask, *ids: int) -> None:
    with parts_of(app).store.write() as conn:
        merging.merge(conn, ids, "ada")
    finish_moves(parts_of(app).store)


def take_out(app: Flask, issue_id: int, function: str) -> None:
    with parts_of(app).store.write() as conn:
        [taken] = [
            grouping.hash for grouping in groupings_of(conn, issue_id) if function in grouping.key
        ]
        merging.unmerge(conn, issue_id, [taken], "ada")
    finish_moves(parts_of(app).store)


def test_rule_that_named_an_issue_does_not_name_it_again_after_a_merge_or_unmerge(
    app: Flask,
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2, window_minutes=30, cooldown_minutes=30)
        store_events(app, error(0), *[error(1)] * 2)
        evaluate(app)
        assert [title[-8:] for title in titles(app)] == ["number 1"]
        old, named = ids_of(app)
        clock.shift(timedelta(minutes=2))
        merge(app, old, named)
        evaluate(app)
        assert len(titles(app)) == 1
        clock.shift(timedelta(minutes=2))
        take_out(app, old, "f1")
        store_events(app, error(0))
        evaluate(app)
        assert len(titles(app)) == 1
        clock.shift(timedelta(minutes=30))
        store_events(app, *[error(0)] * 2, *[error(1)] * 2)
        evaluate(app)
        assert len(titles(app)) == 2


def test_later_of_two_notifications_is_the_one_that_counts(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        only(app, "frequency", threshold=2, window_minutes=30, cooldown_minutes=30)
        for number in (0, 1):
            store_events(app, *[error(number)] * 2)
            evaluate(app)
            clock.shift(timedelta(minutes=20))
        merge(app, *ids_of(app))
        store_events(app, *[error(0)] * 2)
        evaluate(app)
        assert len(titles(app)) == 2
        clock.shift(timedelta(minutes=15))
        evaluate(app)
        assert len(titles(app)) == 3


def test_issues_that_wait_for_the_end_of_a_cool_down_wait_as_one(app: Flask) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule = only(app, "new_issue", cooldown_minutes=10)
        store_events(app, error(0))
        evaluate(app)
        clock.shift(timedelta(minutes=2))
        store_events(app, error(1), error(2))
        evaluate(app)
        assert rule_now(app, rule).held == 2
        merge(app, *ids_of(app)[1:])
        assert rule_now(app, rule).held == 1
        clock.shift(timedelta(minutes=10))
        evaluate(app)
    assert [title[-8:] for title in titles(app)] == ["number 0", "number 1"]
