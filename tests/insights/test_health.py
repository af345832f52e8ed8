"""Sessions, however their updates come: every figure against an independent count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.insights.health import (
    Counts,
    Health,
    Selection,
    health_by_release,
    health_of,
    over_time,
    users_by_day,
)
from app.insights.reading import has_any, options_of
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.measures import read_measures
from app.sentry import flush
from app.stats import sessions as sessions_module
from app.stats.additive import OTHER
from app.stats.counting import Measured
from app.stats.measuring import MeasureCounters
from app.stats.sessions import SESSIONS, session_counts, session_series
from app.stats.tables import known_sessions, session_users
from app.store import Store, utc_now
from app.web import access
from tests.conftest import parts_of
from tests.insights.visits import Update, Visit, envelope, figures, group, visits

SHOP = 7
KEY = "a" * 32
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NO_LIMIT = Limits(days=0, events=0, bytes=0)


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, KEY)
    yield store


def take(app: Flask, *envelopes: Envelope, project_id: int = SHOP) -> None:
    for visit in envelopes:
        parts_of(app).intake.accept(visit, project_id=project_id, timeout_s=10)


def health(store: Store, project_id: int = SHOP, **wanted: Any) -> Health:
    now = utc_now()
    window = now - timedelta(days=30), now + timedelta(minutes=1)
    with store.read() as conn:
        return health_of(conn, Selection(project_id, *window, **wanted))


def rows(store: Store) -> list[int]:
    tables = known_sessions, session_counts, session_users, session_series
    with store.read() as conn:
        return [conn.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


# ---- the stream ---------------------------------------------------------------------------------

ENDS = ["ok", "exited", "crashed", "abnormal", "errored", "unhandled"]
names = st.sampled_from
# Of a few ids, which come again in another release or environment; whose each is stays the same.
updates_of_one = st.builds(
    lambda number, release, environment, said: [
        Update(
            f"{number:032x}",
            release,
            environment,
            [None, "ann", "bob", "ann", "cyd"][number % 5] if names_user else None,
            status,
            errors,
        )
        for status, errors, names_user in said
    ],
    st.integers(1, 8),
    names(["1.0", "2.0"]),
    names(["production", "staging"]),
    st.lists(st.tuples(names(ENDS), names([0, 0, 0, 2]), st.booleans()), min_size=1, max_size=4),
)


@st.composite
def arrivals(draw: Any) -> list[tuple[datetime, Update]]:
    """Updates of some sessions, in any order, some of them twice, over three days."""
    told = [one for of in draw(st.lists(updates_of_one, min_size=1, max_size=6)) for one in of]
    told += draw(st.lists(names(told), max_size=4))
    told = draw(st.permutations(told))
    minutes = sorted(draw(st.lists(st.integers(0, 4000), min_size=len(told), max_size=len(told))))
    return [(NOON + timedelta(minutes=m), one) for m, one in zip(minutes, told, strict=True)]


def count(store: Store, project_id: int, arrived: list[tuple[datetime, Update]], size: int) -> None:
    """Have them counted in batches, by two processes in turn."""
    totals = [MeasureCounters(), MeasureCounters()]
    for number, first in enumerate(range(0, len(arrived), size)):
        batch = [
            Measured(project_id, "", None, at, read_measures(envelope(one.item())))
            for at, one in arrived[first : first + size]
        ]
        with store.write(durable=False) as conn:
            totals[number % 2].add(conn, batch)


def test_updates_in_any_order_and_twice_are_the_sessions_that_they_tell(store: Store) -> None:
    projects = iter(range(100, 10_000))

    @settings(max_examples=40)
    @given(arrivals(), st.integers(1, 6))
    def holds(arrived: list[tuple[datetime, Update]], size: int) -> None:
        project_id = create_project(store, "p", number := next(projects), f"{number:032x}").id
        count(store, project_id, arrived, size)
        agrees(store, project_id, visits(arrived))

    holds()


def agrees(store: Store, project_id: int, expected: list[Visit]) -> None:
    """Hold all figures against those of an independent count."""
    of = Selection(project_id, NOON, NOON + timedelta(minutes=4001))
    with store.read() as conn:
        assert health_of(conn, of) == figures(expected)
        assert health_by_release(conn, of) == {
            release: figures(one for one in expected if one.release == release)
            for release in {one.release for one in expected}
        }
        for name in ("production", "staging"):
            there = [one for one in expected if one.environment == name]
            assert health_of(conn, replace(of, environment=name)) == figures(there)
            newer = [one for one in there if one.release == "2.0"]
            assert health_of(conn, replace(of, release="2.0", environment=name)) == figures(newer)
        minutes = over_time(conn, of, timedelta(minutes=1))
        for number, counts in enumerate(minutes):
            if counts.sessions:
                at = NOON + timedelta(minutes=number)
                assert counts == figures(one for one in expected if one.at == at)[:4]
        assert sum(minute.sessions for minute in minutes) == len(expected)
        by_day: dict[date, list[Visit]] = {}
        for one in expected:
            by_day.setdefault(one.at.date(), []).append(one)
        found = {day: figures(those)[4:] for day, those in by_day.items()}
        assert users_by_day(conn, of) == {day: users for day, users in found.items() if users[0]}


def test_session_with_several_users_has_one_whatever_the_order(store: Store) -> None:
    told = [
        Update("a" * 32, did="ann", status="ok"),
        Update("a" * 32, did="bob", status="crashed"),
        Update("a" * 32, did="cyd", status="exited"),
        Update("b" * 32, did="bob", status="ok"),
        Update("c" * 32, did="cyd", status="ok", errors=1),
    ]
    for number in range(12):
        order = random.Random(number).sample(told * 2, 10)
        stream = [(NOON, replace(one, release=f"1.{number}")) for one in order]
        count(store, SHOP, stream, 1 + number % 4)
    with store.read() as conn:
        found = health_by_release(conn, Selection(SHOP, NOON, NOON + timedelta(minutes=1)))
    assert len(found) == 12
    [one] = set(found.values())
    assert one[:4] == (3, 1, 0, 1) and one.users in (2, 3) and one.crashed_users == 1


def test_stream_through_the_door_is_counted_exactly(app: Flask, store: Store) -> None:
    chance = random.Random(3)
    stream = []
    for number in range(60):
        sid, did = f"{number + 1:032x}", chance.choice([None, "ann", "bob", "cyd", "dan"])
        release = chance.choice(["1.0", "2.0"])
        stream.append(Update(sid, release, did=did, status="ok"))
        stream += [Update(sid, release, did=did, status=chance.choice(ENDS))] * chance.choice(
            [1, 2]
        )
    stream += [Update(None, did="eve"), Update(None, did="eve"), Update("0" * 32, status="crashed")]
    chance.shuffle(stream)
    client = app.test_client()
    for first in range(0, len(stream), 3):
        body = serialize_envelope(envelope(*(one.item() for one in stream[first : first + 3])))
        assert client.post(f"/api/{SHOP}/envelope/?sentry_key={KEY}", data=body).status_code == 200
    told = visits((NOON, one) for one in stream if one.sid != "0" * 32)
    told += visits([(NOON, Update(None, status="crashed"))])  # the nil id is nobody's
    assert health(store) == figures(told)
    now = utc_now()
    with store.read() as conn:
        assert options_of(SESSIONS, conn, SHOP, now)["release"] == ["2.0", "1.0"]
        assert options_of(SESSIONS, conn, SHOP, now)["environment"] == ["production"]
        assert has_any(SESSIONS, conn, SHOP) and not has_any(SESSIONS, conn, 1)


def test_groups_are_added_as_they_come(app: Flask, store: Store) -> None:
    take(
        app,
        envelope(group(exited=90, errored=3, abnormal=2, crashed=5)),
        envelope(group(did="ann", exited=3), group(did="bob", crashed=1, unhandled=2)),
        envelope(group("2.0", "staging", exited=1), Update("a" * 32, did="ann").item()),
    )
    found = health(store)
    assert found == (108, 6, 2, 5, 2, 1)
    assert found.crash_free_sessions == 102 / 108 and found.crash_free_users == 0.5
    assert health(store, release="2.0") == (1, 0, 0, 0, 0, 0)
    assert health(store, environment="production", release="1.0").sessions == 107


def test_nothing_is_told_as_nothing(store: Store) -> None:
    none = health(store)
    assert none == Health() and none.crash_free_sessions is None and none.crash_free_users is None
    with store.read() as conn:
        assert health_by_release(conn, Selection(SHOP, NOON, NOON + timedelta(days=1))) == {}
        two_hours, hour = Selection(SHOP, NOON, NOON + timedelta(hours=2)), timedelta(hours=1)
        assert over_time(conn, two_hours, hour) == [Counts(), Counts()]
        assert over_time(conn, Selection(SHOP, NOON, NOON), hour) == []
        assert users_by_day(conn, two_hours) == {}


def test_session_stays_in_the_minute_and_on_the_day_it_was_first_heard_of(
    app: Flask, store: Store
) -> None:
    late = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    with time_machine.travel(late, tick=False) as clock:
        take(app, envelope(Update("a" * 32, did="ann", status="ok").item()))
        clock.shift(timedelta(minutes=2))
        take(app, envelope(Update("a" * 32, did="ann", status="crashed").item()))
        take(app, envelope(Update("b" * 32, did="ann").item()))
    with store.read() as conn:
        midnight = late + timedelta(minutes=1)
        before = health_of(conn, Selection(SHOP, late, midnight))
        after = health_of(conn, Selection(SHOP, midnight, late + timedelta(minutes=3)))
    assert (before, after) == ((1, 1, 0, 0, 1, 1), (1, 0, 0, 0, 1, 0))


# ---- this application's own ---------------------------------------------------------------------


def test_own_requests_are_sessions_and_plumbing_is_none(app: Flask, client: FlaskClient) -> None:
    @app.get("/fine")
    @access.anyone
    def fine() -> str:
        return "fine"

    @app.get("/breaks")
    @access.anyone
    def breaks() -> None:
        raise ValueError("no price")

    for path in ("/health", "/health/live", "/health/ready", "/static/css/app.css", "/static/no"):
        client.get(path).close()
    for path in ("/api/1/envelope/", "/tunnel/", "/monitoring"):
        client.post(path, data=b"{}\n")
    flush()
    assert health(parts_of(app).store, 1).sessions == 0
    for path in ("/fine", "/fine", "/nowhere", "/breaks"):
        client.get(path)
    flush()
    assert health(parts_of(app).store, 1, release="shop@1.2.3") == (4, 1, 0, 0, 0, 0)


# ---- once, and in bounds ------------------------------------------------------------------------


def test_what_comes_twice_is_counted_once_and_each_project_has_its_own(
    app: Flask, store: Store
) -> None:
    for _ in range(2):  # The second time its event is known.
        twice = envelope(group(crashed=1), Item({"type": "event"}, {"message": "no"}))
        twice.headers["event_id"] = "e" * 32
        take(app, twice)
    assert health(store) == (1, 1, 0, 0, 0, 0)
    create_project(store, "Other", 8, "b" * 32)
    for project_id in (SHOP, 8, 8):
        take(app, envelope(Update("a" * 32, did="ann").item()), project_id=project_id)
    assert health(store) == (2, 1, 0, 0, 1, 0) and health(store, 8) == (1, 0, 0, 0, 1, 0)
    with store.read() as conn:  # Nor can their users be told to be one.
        assert len(set(conn.scalars(select(session_users.c.user_hash)))) == 2


def test_beyond_the_bound_of_a_day_releases_are_counted_as_one(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SESSIONS, "max_series", 3)
    for number in range(8):
        one = Update(f"{number + 1:032x}", f"1.{number}", did="ann", status="ok")
        take(app, envelope(one.item()))
        take(app, envelope(one.item(status="crashed")))
    now = utc_now()
    with store.read() as conn:
        window = now - timedelta(hours=1), now + timedelta(minutes=1)
        found = health_by_release(conn, Selection(SHOP, *window))
    sessions = {name: one.sessions for name, one in found.items()}
    assert sessions == {"1.0": 1, "1.1": 1, "1.2": 1, OTHER: 5}
    assert health(store) == (8, 8, 0, 0, 1, 1)


def test_beyond_the_bound_of_users_they_are_at_least_so_many(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_USERS", 5)
    for number in range(20):
        take(app, envelope(Update(f"{number + 1:032x}", did=f"u{number}", status="ok").item()))
    take(app, envelope(Update(f"{1:032x}", did="u0", status="crashed").item()))
    take(app, envelope(Update(f"{20:032x}", did="u19", status="crashed").item()))
    assert health(store) == (20, 2, 0, 0, 6, 1)


def test_batch_that_is_rolled_back_counts_nothing(app: Flask, store: Store) -> None:
    totals, now = MeasureCounters(), utc_now()
    batch = [
        Measured(SHOP, "", None, now, read_measures(envelope(Update("a" * 32, did="a").item())))
    ]

    def lost() -> None:
        with store.write() as conn:
            totals.add(conn, batch)
            raise LookupError

    with pytest.raises(LookupError):
        lost()
    for _ in range(3):
        with store.write() as conn:
            totals.add(conn, batch)
    assert health(store) == (1, 0, 0, 0, 1, 0)


# ---- growing old --------------------------------------------------------------------------------


def test_minutes_become_hours_and_no_figure_changes(app: Flask, store: Store) -> None:
    chance = random.Random(5)
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(90):
            clock.shift(timedelta(minutes=1))
            did, end = chance.choice("abcdef"), chance.choice(ENDS)
            take(app, envelope(Update(f"{number + 1:032x}", did=did, status=end).item()))
    window = Selection(SHOP, NOON, NOON + timedelta(hours=2))

    def found() -> tuple[Any, ...]:
        with store.read() as conn:
            return health_of(conn, window), over_time(conn, window, timedelta(hours=1))

    before = found()
    assert before[0].sessions == 90
    with time_machine.travel(NOON + timedelta(days=5)):
        prune(store, NO_LIMIT)  # The day may still change.
    assert rows(store)[:2] == [90, 90]
    for _ in range(2):  # The second time there is nothing left to do.
        with time_machine.travel(NOON + timedelta(days=6)):
            prune(store, NO_LIMIT)
        assert found() == before and rows(store) == [0, 2, 6, 1]
    with time_machine.travel(NOON + timedelta(days=91)):
        prune(store, NO_LIMIT)
    assert rows(store) == [0, 0, 0, 0]


def test_update_after_the_days_that_a_session_is_known_counts_as_a_new_one(
    app: Flask, store: Store
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        take(app, envelope(Update("a" * 32, status="ok").item()))
        clock.shift(timedelta(days=5))
        prune(store, NO_LIMIT)
        take(app, envelope(Update("a" * 32, status="ok", errors=1).item()))
        assert health(store) == (1, 0, 0, 1, 0, 0)
        clock.shift(timedelta(days=1))
        prune(store, NO_LIMIT)
        take(app, envelope(Update("a" * 32, status="crashed").item()))
        assert health(store) == (2, 1, 0, 1, 0, 0)
