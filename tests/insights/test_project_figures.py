"""Figures of projects: all events, each once, whether the background task counted them or not."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.inputs.period import PERIODS, Range, period_range
from app.insights.performance import Rate
from app.insights.project_figures import ProjectFigures, figures_of_projects, overview_of_projects
from app.intake.retention import Limits, prune
from app.issues import triage
from app.projects import create_project
from app.stats import environments
from app.stats.environments import count_stored
from app.stats.tables import environment_days, environment_hours, project_environments
from app.stats.users import UserCounter
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.insights.stream import Request
from tests.issues.test_figures import DAY, HOUR
from tests.issues.test_merging import send

NO_LIMITS = Limits(days=0, events=0, bytes=0)


@pytest.fixture
def store(app: Flask) -> Store:
    store = parts_of(app).store
    create_project(store, "shop")
    return store


def happen(app: Flask, ago: timedelta = 0 * HOUR, **more: Any) -> None:
    send(app, timestamp=(utc_now() - ago).isoformat(), **more)


def figures(store: Store, name: str = "day", *of: Any) -> ProjectFigures:
    with store.read() as conn:
        return figures_of_projects(conn, period_range(name, utc_now()), *of)


def count(store: Store) -> int:
    return count_stored(store, UserCounter(), utc_now())


def some_events(app: Flask) -> None:
    happen(app, user=1, environment="production")
    happen(app, 2 * HOUR, user=1, environment="staging")
    happen(app, user=2, project=2, bug=1)
    happen(app, 30 * HOUR, user=3, environment="production")
    happen(app, 20 * DAY, environment="production")


def test_events_are_counted_at_once_and_once(app: Flask, store: Store) -> None:
    some_events(app)
    before = {name: figures(store, name).events for name in PERIODS}
    assert before == {"hour": 2, "day": 3, "week": 4, "month": 5, "quarter": 5, "all": 5}
    assert count(store) == 5 and count(store) == 0
    assert {name: figures(store, name).events for name in PERIODS} == before
    environments.expire(store, utc_now())
    assert {name: figures(store, name).events for name in PERIODS} == before


def test_figures_are_of_a_project_and_an_environment(app: Flask, store: Store) -> None:
    some_events(app)
    count(store)
    assert figures(store, "day", 1)[:3] == (2, 1, True)
    assert figures(store, "day", 1, "production")[:3] == (1, 1, True)
    assert figures(store, "day", 2)[:3] == (1, 1, True)
    assert figures(store, "day", 2, "")[:3] == (1, 1, True)
    assert figures(store, "day", None, "production").events == 1
    assert figures(store, "day", 3) == ProjectFigures(0, 0, True, *figures(store, "day", 3)[3:])
    assert figures(store, "week")[:3] == (4, 3, True)


def test_range_before_and_new_issues_stand_beside_the_range(app: Flask, store: Store) -> None:
    # Users before the range are counted by days, so the result depends on the time of day.
    noon = utc_now().replace(hour=12, minute=0)
    with time_machine.travel(noon):
        some_events(app)
        count(store)
        found, month, whole = (figures(store, name) for name in ("day", "month", "all"))
    assert found.before is not None
    assert (found.before.events, found.before.users, found.before.users_are_exact) == (1, 1, False)
    assert found.new_issues.number == 1  # the other one was seen twenty days ago
    assert month.new_issues.number == 2
    assert whole.before is None


def test_deleted_and_pruned_events_stay_counted(app: Flask, store: Store) -> None:
    some_events(app)
    count(store)
    with store.write() as conn:
        triage.delete(conn, [1])
    with time_machine.travel(utc_now() + HOUR):
        prune(store, Limits(days=0, events=1, bytes=0))
    assert figures(store, "all").events == 5
    happen(app)  # SQLite may use the row id of a removed event again
    count(store)
    assert figures(store, "all").events == 6


def test_environments_of_a_project_are_bounded(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "MAX_ENVIRONMENTS", 2)
    for number in range(4):
        happen(app, environment=f"e{number}")
    count(store)
    with store.read() as conn:
        names = set(conn.scalars(select(project_environments.c.name)))
    assert names == {"e0", "e1", "<other>"}
    assert figures(store, "day", 1, "<other>").events == 2
    assert figures(store, "day", 1).events == 4


def test_hours_become_days_and_days_end(app: Flask, store: Store) -> None:
    happen(app)
    count(store)

    def rows() -> tuple[int, ...]:
        with store.read() as conn:
            tables = environment_hours, environment_days
            return tuple(
                conn.scalar(select(func.count()).select_from(table)) or 0 for table in tables
            )

    assert rows() == (1, 0)
    for days, left in ((9, (0, 1)), (92, (0, 0))):
        with time_machine.travel(utc_now() + days * DAY):
            prune(store, NO_LIMITS)
        assert rows() == left


def test_series_of_the_api_adds_up(app: Flask, store: Store, client: FlaskClient) -> None:
    some_events(app)
    day = client.get("/api/series").json
    assert (day["interval_s"], len(day["points"])) == (3600, 25)
    assert (day["points"][-1]["events"], day["points"][-1]["users"]) == (2, 2)
    month = client.get("/api/series?period=month&project_id=1").json
    assert month["interval_s"] == 86400
    assert sum(point["events"] for point in month["points"]) == 4
    answer = client.get("/api/series?start=2026-11-02&end=2026-11-01T00:00")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "end")


def test_users_of_a_past_range_are_about(app: Flask, store: Store) -> None:
    happen(app, 3 * DAY, user=1)
    happen(app, user=1)
    count(store)
    now = utc_now()
    with store.read() as conn:
        past = figures_of_projects(conn, Range("", now - 4 * DAY, now - 2 * DAY, now))
    assert past[:3] == (1, 1, False)


def test_requests_are_those_of_the_range_and_of_the_range_before(app: Flask, store: Store) -> None:
    for ago, failed in [(30 * HOUR, 2), (0 * HOUR, 1)]:
        with time_machine.travel(utc_now() - ago, tick=False):
            for number in range(4):
                request = Request("/pay", "1.0", 10.0, number < failed)
                envelope = request.envelope(uuid.uuid4().hex)
                parts_of(app).intake.accept(envelope, project_id=2, timeout_s=10)
    with store.read() as conn:
        of_shop = overview_of_projects(conn, period_range("day", utc_now()), 2)
        of_all = overview_of_projects(conn, period_range("day", utc_now()))
        ever = overview_of_projects(conn, period_range("all", utc_now()), 2)
    assert (of_shop.rate, of_shop.rate_before) == (Rate(4, 1), Rate(4, 2))
    assert (ever.rate, ever.rate_before) == (Rate(8, 3), None)
    assert of_all.rate.failures == 1
