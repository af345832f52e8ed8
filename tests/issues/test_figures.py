"""Figures of a range: what happened in it is counted, before and after hours become days."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from app.inputs.period import PERIODS, Range, period_range
from app.issues.figures import Figures, figures_of, hours_of
from app.issues.filter import IssueFilter
from app.issues.in_range import count_seen, page_by_figure
from app.issues.over_time import roll_up
from app.issues.series import series_of
from app.issues.tables import issue_days, issue_hours, issues
from app.stats.tables import affected_users
from app.stats.windows import MAX_BUCKETS, hour_number, moment_of_hour
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.issues.test_merging import all_issues, merge, send

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def happen(app: Flask, *ago: timedelta, bug: int = 0, user: int | None = None) -> None:
    """Receive events of a bug now that happened so long ago."""
    for each in ago:
        send(app, bug, user, timestamp=(utc_now() - each).isoformat())


def figures(store: Store, range: Range, issue_id: int = 1) -> Figures:
    with store.read() as conn:
        return figures_of(conn, [issue_id], range, with_before=True)[issue_id]


def of_period(store: Store, name: str, issue_id: int = 1) -> Figures:
    return figures(store, period_range(name, utc_now()), issue_id)


@pytest.mark.parametrize("is_rolled_up", [False, True])
def test_events_count_in_the_periods_in_which_they_happened(
    app: Flask, store: Store, is_rolled_up: bool
) -> None:
    happen(app, 0 * HOUR, 5 * HOUR, 3 * DAY, 10 * DAY, 20 * DAY)
    if is_rolled_up:
        roll_up(store, utc_now())
    found = {name: of_period(store, name).events for name in PERIODS}
    assert found == {"hour": 1, "day": 2, "week": 3, "month": 5, "quarter": 5, "all": 5}
    assert of_period(store, "week").before == 1
    assert of_period(store, "day").before == 0
    assert of_period(store, "quarter").before is None


def test_trend_has_every_event_of_the_range_in_its_place(app: Flask, store: Store) -> None:
    happen(app, 0 * HOUR, 0 * HOUR, 3 * HOUR)
    day = of_period(store, "day")
    assert (day.trend[-1], day.trend[-4], sum(day.trend)) == (2, 1, 3)
    for name in PERIODS:
        found = of_period(store, name)
        assert len(found.trend) <= MAX_BUCKETS and sum(found.trend) == found.events
        nothing = of_period(store, name, 77)
        assert nothing == Figures(0, 0, True, (0,) * len(found.trend), nothing.before)


def test_event_of_a_fast_clock_is_in_the_last_step(app: Flask, store: Store) -> None:
    happen(app, 0 * HOUR)
    with time_machine.travel(utc_now() - 2 * HOUR, tick=False):
        assert of_period(store, "day").trend[-1] == 1


def test_users_of_a_period_are_exact_and_each_counts_once(app: Flask, store: Store) -> None:
    happen(app, 20 * DAY, 3 * DAY, 2 * DAY, user=1)
    happen(app, 3 * DAY, 0 * HOUR, user=2)
    happen(app, 20 * DAY, user=3)
    happen(app, 0 * HOUR)
    found = {name: of_period(store, name)[1:3] for name in PERIODS}
    assert found["day"] == (1, True)
    assert found["week"] == (2, True)
    assert found["month"] == found["quarter"] == found["all"] == (3, True)


def test_late_event_of_a_user_does_not_take_the_user_out_of_today(app: Flask, store: Store) -> None:
    happen(app, 30 * DAY - HOUR)
    happen(app, 0 * HOUR, user=1)
    happen(app, 5 * DAY, user=1)
    assert of_period(store, "day").users == 1


def test_users_of_a_range_in_the_past_are_said_to_be_about(app: Flask, store: Store) -> None:
    happen(app, 20 * DAY, 3 * DAY, 0 * HOUR, user=1)
    now = utc_now()
    past = Range("", now - 4 * DAY, now - 2 * DAY, now)
    found = figures(store, past)
    assert (found.events, found.users, found.users_are_exact) == (1, 1, False)
    assert figures(store, Range("", now - 10 * DAY, now - 9 * DAY, now)).users == 0


def test_issue_with_more_users_than_are_stored_has_about_so_many(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.issues.figures.MAX_USERS", 3)
    happen(app, 20 * DAY, user=9)
    for user in range(4):
        happen(app, 2 * DAY, user=user)
    with store.write() as conn:
        conn.execute(affected_users.delete())
    assert of_period(store, "week")[1:3] == (3, False)


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_days_are_the_sums_of_their_hours(app: Flask, store: Store, seed: int) -> None:
    chosen, now = random.Random(seed), utc_now()
    times = [now - HOUR * chosen.randrange(25 * 24) for _ in range(30)]
    for at in times:
        happen(app, now - at, bug=chosen.randrange(2))
        if chosen.random() < 0.2:
            roll_up(store, utc_now())
    roll_up(store, utc_now())
    ids = [one.id for one in all_issues(store)]
    by_day = Counter(hour_number(at) // 24 for at in times)
    with store.read() as conn:
        month = [series_of(conn, number, period_range("month", now)) for number in ids]
        hours = conn.execute(select(func.min(issue_hours.c.hour))).scalar_one()
    assert moment_of_hour(hours) >= now - 9 * DAY
    found: Counter[int] = Counter()
    for series in month:
        for point in series.points:
            found[hour_number(point.at) // 24] += point.events
    assert +found == by_day
    before = {name: sum(of_period(store, name, n).events for n in ids) for name in PERIODS}
    merge(store, *ids)
    assert {name: of_period(store, name, min(ids)).events for name in PERIODS} == before


def test_days_are_kept_for_ninety_days(app: Flask, store: Store) -> None:
    happen(app, 0 * HOUR)
    for days, left in ((8, 1), (9, 1), (90, 1), (92, 0)):
        with time_machine.travel(utc_now() + days * DAY):
            roll_up(store, utc_now())
        with store.read() as conn:
            hours = conn.scalar(select(func.count()).select_from(issue_hours))
            there = conn.scalar(select(func.count()).select_from(issue_days))
        assert (hours, there) == ((1, 0) if days == 8 else (0, left))


# ---- the order by a figure ---------------------------------------------------------------------


def ranked(store: Store, sort: str, name: str = "week", **more: Any) -> Any:
    with store.read() as conn:
        range = period_range(name, utc_now())
        return page_by_figure(conn, IssueFilter(), range, sort, **more)


def some_issues(app: Flask) -> None:
    """Issue 1 has most events in all, 2 most events of the week, 3 most users of the week."""
    happen(app, *[20 * DAY] * 5, HOUR, bug=0, user=1)
    happen(app, *[HOUR] * 3, bug=1, user=1)
    for user in range(2):
        happen(app, HOUR, bug=2, user=user)
    happen(app, 20 * DAY, bug=3)


def test_list_is_sorted_by_the_figures_of_the_range(app: Flask, store: Store) -> None:
    some_issues(app)
    assert [row.id for row in ranked(store, "events").rows] == [2, 3, 1]
    assert [row.id for row in ranked(store, "users").rows] == [3, 2, 1]
    assert [row.id for row in ranked(store, "events", "month").rows] == [1, 2, 3, 4]
    assert ranked(store, "events").figures[2].events == 3
    assert not ranked(store, "events").is_cut


def test_pages_of_a_sorted_list_have_every_issue_once(app: Flask, store: Store) -> None:
    some_issues(app)
    first = ranked(store, "events", limit=2)
    second = ranked(store, "events", limit=2, after=first.next)
    assert [row.id for row in (*first.rows, *second.rows)] == [2, 3, 1]
    assert second.next is None


def test_list_that_did_not_compare_every_issue_says_so(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_issues(app)
    monkeypatch.setattr("app.issues.in_range.CANDIDATES", 1)
    found = ranked(store, "events", "month")
    assert found.rows[0].id == 1 and found.is_cut
    assert not ranked(store, "events", "month", limit=1).is_cut


def test_tab_counts_those_that_were_seen_in_the_range(app: Flask, store: Store) -> None:
    some_issues(app)
    with store.write() as conn:
        conn.execute(update(issues).where(issues.c.id == 3).values(status="resolved"))
    with store.read() as conn:
        week = count_seen(conn, period_range("week", utc_now()))
        every = count_seen(conn, period_range("all", utc_now()))
    assert {name: count.number for name, count in week.items()} == {
        "unresolved": 2,
        "resolved": 1,
        "ignored": 0,
    }
    assert every["unresolved"].number == 3


def test_hours_are_the_last_24(app: Flask, store: Store) -> None:
    happen(app, 0 * HOUR, 30 * HOUR)
    with store.read() as conn:
        found = hours_of(conn, [1, 77], utc_now())
    assert found == {1: [0] * 23 + [1], 77: [0] * 24}


def test_series_counts_the_users_of_each_hour(app: Flask, store: Store) -> None:
    happen(app, 2 * HOUR, 2 * HOUR, user=1)
    happen(app, 2 * HOUR, user=2)
    happen(app, 0 * HOUR)
    with store.read() as conn:
        series = series_of(conn, 1, period_range("day", utc_now()))
    last = series.points[-1]
    assert series.interval_s == 3600 and len(series.points) == 25
    assert (last.events, last.users) == (1, 0)
    assert series.points[-3][1:] == (3, 2)
    assert last.at == datetime.fromtimestamp(hour_number(utc_now()) * 3600, last.at.tzinfo)
