"""Lines counted by level over time: the counts are those of an independent count, and bounded."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from app.inputs import period_range
from app.inputs.period import floor
from app.insights.log_rates import log_rates
from app.intake.removed_projects import remove_project_data
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.lenient import LEVELS
from app.signals.kinds import SIGNALS
from app.signals.logs.expiry import expire_lines
from app.signals.walk import catch_up
from app.stats.log_counts import log_counts, log_series
from app.store import Store, StoreError, utc_now
from app.store.migrations import MIGRATIONS
from tests.conftest import Parts, parts_of
from tests.signals.logs.steps import ago, entry, found, send
from tests.store.test_upgraded_clocks import empty_url

__all__ = ["empty_url"]

NO_LIMITS = Limits(0, 0, 0)
MONTH_OF_MINUTES = 30 * 24 * 60
FAR = datetime(2190, 1, 1, tzinfo=UTC)
PERIODS = {"hour": 60, "day": 1800, "week": 4 * 3600, "month": 86400, "quarter": 86400}

Sent = list[tuple[datetime, str]]


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


@pytest.fixture
def month() -> Sent:
    """Return times and levels: most are of the last days, and some of each day of a month."""
    chance = random.Random(1)  # noqa: S311 -- the same lines each time
    minutes = [chance.randrange(60) for _ in range(40)]
    minutes += [chance.randrange(MONTH_OF_MINUTES - 60) for _ in range(120)]
    return [(ago(minutes=one), chance.choice(LEVELS)) for one in minutes]


def entries(sent: Sent) -> list[dict[str, Any]]:
    return [entry(at=at, level=level) for at, level in sent]


def series(client: FlaskClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/logs/series", query_string=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def total(answer: dict[str, Any]) -> Counter[str]:
    return sum((levels_of(point) for point in answer["points"]), Counter())


def levels_of(point: dict[str, Any]) -> Counter[str]:
    return +Counter({level: point[level] for level in LEVELS})


def assert_points(
    answer: dict[str, Any], sent: Sent, since: datetime, until: datetime = FAR
) -> None:
    """Assert each point by counting the lines that were sent in its part of the range."""
    length = timedelta(seconds=answer["interval_s"])
    sent = [(at, level) for at, level in sent if since <= at < until]
    assert total(answer) == Counter(level for _, level in sent)
    for point in answer["points"]:
        start = datetime.fromisoformat(point["at"])
        expected = Counter(level for at, level in sent if start <= at < start + length)
        assert levels_of(point) == expected, point


def rows(store: Store) -> int:
    with store.read() as conn:
        return conn.scalar(select(func.count()).select_from(log_counts)) or 0


def test_series_equals_an_independent_count_before_and_after_the_roll_up(
    parts: Parts, client: FlaskClient, month: Sent
) -> None:
    other = create_project(parts.store, "shop").id
    send(parts, *entries(month[::2]))
    send(parts, *entries(month[1::2]), project_id=other)
    for _ in range(2):
        for period, interval_s in PERIODS.items():
            answer = series(client, period=period)
            assert answer["interval_s"] == interval_s and 24 <= len(answer["points"]) <= 121
            start = period_range(period, utc_now()).start
            assert start is not None
            assert_points(answer, month, start)
            assert total(answer).total() == len(found(parts, period=period))
        assert total(series(client, period="all")) == Counter(level for _, level in month)
        own = Counter(level for _, level in month[1::2])
        assert total(series(client, period="all", project_id=other)) == own
        assert series(client)["interval_s"] == PERIODS["day"]
        prune(parts.store, NO_LIMITS)


@pytest.mark.one_database
def test_steps_of_a_given_range_have_its_lines_and_are_as_short_as_the_counts(
    parts: Parts, client: FlaskClient, month: Sent
) -> None:
    send(parts, *entries(month))
    now = floor(utc_now(), 60)
    for hours_ago, hours, interval_s, unit_s in (
        (1, 0.001, 60, 60),
        (3, 2, 60, 60),
        (30, 5, 300, 60),
        (30, 20, 1800, 60),
        (500, 5, 3600, 3600),
        (500, 200, 14400, 3600),
        (700, 698, 86400, 3600),
    ):
        start = now - timedelta(hours=hours_ago)
        end = start + timedelta(hours=hours)
        answer = series(client, start=start.isoformat(), end=end.isoformat())
        assert answer["interval_s"] == interval_s
        # Of a whole minute or hour nothing more exact is known.
        last_unit_s = 60 if end > now - timedelta(days=2) else unit_s
        last = floor(end - timedelta(microseconds=1), last_unit_s)
        assert_points(answer, month, floor(start, unit_s), last + timedelta(seconds=last_unit_s))
        first, last = (datetime.fromisoformat(answer["points"][n]["at"]) for n in (0, -1))
        assert first <= start < end <= last + timedelta(seconds=interval_s)
    for start, end in ("1980-01-01", "1990-01-01"), ("2190-01-01", "2191-01-01"):
        assert series(client, start=start, end=end)["points"] == []
    assert len(series(client, start="1980-01-01", end="2190-01-01")["points"]) == 91


def test_envelope_that_is_read_again_after_a_crash_is_counted_once(
    parts: Parts, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise StoreError("killed before the commit")

    monkeypatch.setattr("app.signals.walk.write_up_to", crash)
    with pytest.raises(StoreError, match="killed"):
        send(parts, entry("one"), entry("two", level="error"))
    assert found(parts) == [] and rows(parts.store) == 0
    monkeypatch.undo()
    catch_up(parts.store, SIGNALS)
    catch_up(parts.store, SIGNALS)
    assert len(found(parts)) == 2
    assert total(series(client)) == {"info": 1, "error": 1}


def test_lines_of_any_time_and_level_make_few_rows(parts: Parts, client: FlaskClient) -> None:
    times = [ago(hours=n) for n in range(0, 60 * 24, 2)]
    odd = ("info", "critical", "<b>", "", "x" * 300)
    for _ in range(2):
        send(parts, *(entry(at=at, level=odd[n % 5]) for n, at in enumerate(times)))
    send(parts, *(entry(at=utc_now() + timedelta(days=n)) for n in range(1, 200)))
    lines = 2 * len(times) + 199
    assert total(series(client, period="all")).total() == lines == len(found(parts))
    # Of times that are too old or in the future, all are at the minute of their arrival.
    assert rows(parts.store) <= 30 * 24 / 2 + 20
    with parts.store.read() as conn:
        assert set(conn.scalars(select(log_series.c.level))) <= set(LEVELS)


def test_counts_go_with_the_age_of_lines_and_not_with_their_number(
    parts: Parts, client: FlaskClient
) -> None:
    send(parts, *(entry(f"day {n}", ago(days=n)) for n in range(10)))
    expire_lines(parts.store, 0, 1, utc_now())
    assert found(parts) == [] and total(series(client, period="month")) == {"info": 10}
    prune(parts.store, replace(NO_LIMITS, log_days=5))
    # A day goes as a whole, when none of it is kept.
    assert total(series(client, period="month")) == {"info": 6}
    # A late line of a day whose counts are gone is counted again, and goes like the others.
    send(parts, entry("late", ago(days=8)))
    assert found(parts) == ["late"] and total(series(client, period="month")) == {"info": 7}
    prune(parts.store, replace(NO_LIMITS, log_days=5))
    assert found(parts) == [] and total(series(client, period="month")) == {"info": 6}
    with time_machine.travel(utc_now() + timedelta(days=100)):
        prune(parts.store, NO_LIMITS)
    assert rows(parts.store) == 0


@pytest.mark.one_database
def test_counts_of_a_removed_project_go_with_it(parts: Parts, client: FlaskClient) -> None:
    other = create_project(parts.store, "shop").id
    send(parts, entry())
    send(parts, entry(level="error"), project_id=other)
    assert remove_project_data(parts.store, parts.destinations, other)
    assert total(series(client)) == {"info": 1} and rows(parts.store) == 1


def test_lines_of_before_the_upgrade_are_counted(empty_url: str, month: Sent) -> None:
    store = Store(empty_url)
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0056")
    line = (
        "INSERT INTO log_lines (id, project_id, at, level, body, attributes, size_bytes)"
        " VALUES (:id, 1, :at, :level, 'paid', '{}', 1)"
    )
    with store.write() as conn:
        for number, (at, level) in enumerate(month):
            when = f"{at:%Y-%m-%d %H:%M:%S.%f}" if store.is_sqlite else at
            conn.execute(text(line), {"id": number + 1, "at": when, "level": level})
    store.migrate()
    with store.read() as conn:
        rates = log_rates(conn, period_range("hour", utc_now()))
        days = log_rates(conn, period_range("month", utc_now()))
    recent = Counter(level for at, level in month if at >= rates.steps[0].at)
    assert sum((Counter(step.lines) for step in rates.steps), Counter()) == recent
    every = sum((Counter(step.lines) for step in days.steps), Counter())
    assert every == Counter(level for _, level in month)
    store.dispose()
