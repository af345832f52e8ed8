"""A known stream, by whatever way it came: every figure against an independent count."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.insights.performance import (
    Figures,
    Percentiles,
    Selection,
    error_rate,
    figures_by,
    latency,
    over_time,
    totals,
)
from app.insights.reading import has_any, options_of
from app.intake import Intake
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.transaction import Timing
from app.stats.additive import OTHER
from app.stats.buckets import UNKNOWN, bucket_of, duration_of, percentiles
from app.stats.counting import SeriesCounter, Tally
from app.stats.timings import PERFORMANCE, timing_series, timings
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.insights.stream import TOLERANCE, Request, exact, feed, requests
from tests.questions import questions

COUNT = 600
SHARES = {"p50_ms": 0.5, "p75_ms": 0.75, "p95_ms": 0.95, "p99_ms": 0.99}
SHOP = 7


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, "a" * 32)
    yield store


def take(app: Flask, stream: list[Request], first: int = 0) -> None:
    for number, request in enumerate(stream, first):
        parts_of(app).intake.accept(
            request.envelope(f"{number:032x}"), project_id=SHOP, timeout_s=10
        )


def agrees(found: Figures, stream: list[Request]) -> None:
    """Hold figures against a count of the stream that knows nothing of buckets."""
    durations = [one.ms for one in stream if one.ms is not None]
    assert found.requests == len(stream)
    assert found.failures == sum(one.failed for one in stream)
    assert found.percentiles.measured == len(durations)
    for name, share in SHARES.items():
        assert getattr(found.percentiles, name) == pytest.approx(
            exact(durations, share), rel=TOLERANCE
        ), name


# ---- buckets ------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.001, 86_400_000), min_size=1, max_size=300), st.floats(0.01, 1))
def test_percentile_of_whatever_is_within_two_and_a_half_percent(
    durations: list[float], share: float
) -> None:
    [found] = percentiles(Counter(map(bucket_of, durations)), [share])
    assert found == pytest.approx(exact(durations, share), rel=TOLERANCE)


@pytest.mark.parametrize("ms", [0, 1e-9, 86_400_000])
def test_shortest_and_longest_have_a_bucket(ms: float) -> None:
    assert UNKNOWN < bucket_of(ms) < 2**15
    assert duration_of(bucket_of(ms)) == pytest.approx(max(ms, 0.001), rel=TOLERANCE)


def test_what_is_not_known_has_no_percentile() -> None:
    assert percentiles({UNKNOWN: 3}, [0.5, 0.99]) == percentiles({}, [0.5, 0.99]) == [None, None]


# ---- the stream ---------------------------------------------------------------------------------


def test_stream_of_several_processes_adds_up_to_the_exact_count(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    since = utc_now()
    processes = [
        multiprocessing.get_context("spawn").Process(
            target=feed, args=(database_url, str(tmp_path / "emergency"), SHOP, part, 3, COUNT)
        )
        for part in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    stream, until = requests(COUNT), utc_now() + timedelta(minutes=1)
    everything = Selection(SHOP, since, until)
    with store.read() as conn:
        agrees(totals(conn, everything), stream)
        for name, figures in figures_by(conn, everything, "transaction").items():
            agrees(figures, [one for one in stream if one.transaction == name])
        for name, figures in figures_by(conn, everything, "release").items():
            agrees(figures, [one for one in stream if one.release == name])
        steps = over_time(conn, everything, timedelta(minutes=1))
        assert sum(step.requests for step in steps) == COUNT
        rate = error_rate(conn, SHOP, since, until)
        assert rate == (COUNT, sum(one.failed for one in stream))
        cart = [one.ms for one in stream if one.transaction == "/cart" and one.ms is not None]
        found = latency(conn, SHOP, since, until, "/cart")
        assert (found.measured, found.p95_ms) == (
            len(cart),
            pytest.approx(exact(cart, 0.95), rel=TOLERANCE),
        )
        assert options_of(PERFORMANCE, conn, SHOP, since) == {
            "release": ["2.0", "1.0"],
            "environment": ["production"],
        }
        assert has_any(PERFORMANCE, conn, SHOP) and not has_any(PERFORMANCE, conn, 1)


def test_own_requests_and_envelopes_of_two_applications_add_up(app: Flask, store: Store) -> None:
    other = Intake(store, parts_of(app).intake.emergency, parts_of(app).intake.scrubber)
    stream = requests(400, seed=1)
    since = utc_now()
    for number, one in enumerate(stream):
        intake = other if number % 2 else parts_of(app).intake
        intake.observe(Timing(one.transaction, one.release, "production", one.ms, one.failed))
    for intake in (other, parts_of(app).intake):
        intake.close()
    with store.read() as conn:
        found = Selection(1, since, utc_now() + timedelta(minutes=1))
        agrees(totals(conn, found), stream)
        for name, figures in figures_by(conn, found, "transaction").items():
            agrees(figures, [one for one in stream if one.transaction == name])


def test_nothing_counted_is_told_as_nothing(store: Store) -> None:
    now = utc_now()
    with store.read() as conn:
        rate = error_rate(conn, SHOP, now - timedelta(hours=1), now)
        assert rate == (0, 0) and rate.share == 0
        assert latency(conn, SHOP, now - timedelta(hours=1), now) == Percentiles(0, *[None] * 4)
        assert over_time(conn, Selection(SHOP, now, now), timedelta(minutes=1)) == []


def test_window_counts_its_first_minute_and_not_its_last(app: Flask, store: Store) -> None:
    first = datetime(2026, 3, 1, 23, 58, tzinfo=UTC)
    for minute in range(5):  # over midnight, which begins a new series
        with time_machine.travel(first + timedelta(minutes=minute), tick=False):
            take(app, [Request("/cart", "1", 10.0, False)] * (minute + 1), first=minute * 10)
    with store.read() as conn:
        found = error_rate(conn, SHOP, first + timedelta(minutes=1), first + timedelta(minutes=4))
        steps = over_time(
            conn,
            Selection(SHOP, first, first + timedelta(minutes=5)),
            timedelta(minutes=2),
        )
    assert found.requests == 2 + 3 + 4
    assert [step.requests for step in steps] == [1 + 2, 3 + 4, 5]


# ---- once, and in bounds ------------------------------------------------------------------------


def test_transaction_that_comes_twice_is_counted_once(app: Flask, store: Store) -> None:
    create_project(store, "Other", 8, "b" * 32)
    request, now = Request("/cart", "1", 10.0, True), utc_now()
    for project_id in (SHOP, SHOP, 8):
        envelope = request.envelope("e" * 32)
        parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=10)
    with store.read() as conn:
        window = now - timedelta(minutes=1), now + timedelta(minutes=2)
        assert error_rate(conn, SHOP, *window) == (1, 1)
        assert error_rate(conn, 8, *window) == (1, 1)  # another project's own


def test_beyond_the_bound_of_a_day_transactions_are_counted_as_one(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PERFORMANCE, "max_series", 5)
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        take(app, [Request(f"/raw/{number}", "1", 10.0, number % 2 == 0) for number in range(20)])
        take(app, [Request("/raw/1", "1", 10.0, False)], first=50)  # has its place
        window = utc_now() - timedelta(hours=1), utc_now() + timedelta(minutes=1)
        with store.read() as conn:
            found = figures_by(conn, Selection(SHOP, *window), "transaction")
    assert found.keys() == {OTHER, *(f"/raw/{number}" for number in range(5))}
    assert found[OTHER].rate == (15, 7) and found["/raw/1"].requests == 2
    with time_machine.travel("2026-03-02T00:00:00Z", tick=False):  # a new day, with room again
        take(app, [Request("/new", "1", 10.0, False)], first=60)
        window = utc_now() - timedelta(minutes=1), utc_now() + timedelta(minutes=1)
        with store.read() as conn:
            assert figures_by(conn, Selection(SHOP, *window), "transaction").keys() == {"/new"}


def test_more_names_at_once_than_a_day_may_have_are_counted_with_few_questions(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PERFORMANCE, "max_series", 20)
    counter, now = SeriesCounter(PERFORMANCE), utc_now()
    known, many = Tally(PERFORMANCE), Tally(PERFORMANCE)
    known.add(SHOP, now.timestamp(), [Timing("/cart", "", "", 1.0, False)])
    many.add(SHOP, now.timestamp(), [Timing(f"/{n}", "", "", 1.0, False) for n in range(3000)])
    many.add(SHOP, now.timestamp(), [Timing("/cart", "", "", 1.0, True)] * 2)
    for tally in known, known, many, many:
        with store.write() as conn, questions() as asked:
            counter.add(conn, tally, None)
    assert len(asked) <= 12
    window = now - timedelta(minutes=1), now + timedelta(minutes=1)
    with store.read() as conn:
        found = figures_by(conn, Selection(SHOP, *window), "transaction")
    assert len(found) == 21 and found["/cart"].rate == (6, 4)
    assert sum(one.requests for one in found.values()) == 6006


def test_series_of_a_transaction_that_is_rolled_back_is_made_again(
    app: Flask, store: Store
) -> None:
    counter, tally, now = SeriesCounter(PERFORMANCE), Tally(PERFORMANCE), utc_now()
    tally.add(SHOP, now.timestamp(), [Timing("/cart", "", "", 1.0, False)])

    def lost() -> None:
        with store.write() as conn:
            counter.add(conn, tally, now)
            raise LookupError

    with pytest.raises(LookupError):
        lost()
    for _ in range(3):
        with store.write() as conn:
            counter.add(conn, tally, now)
    with store.read() as conn:
        assert error_rate(conn, SHOP, now, now + timedelta(minutes=1)).requests == 3


# ---- growing old --------------------------------------------------------------------------------


def test_minutes_become_hours_and_no_figure_changes(app: Flask, store: Store) -> None:
    stream, start = requests(300, seed=3), datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    for number, request in enumerate(stream):
        with time_machine.travel(start + timedelta(seconds=20 * number), tick=False):
            take(app, [request], first=number)
    window = Selection(SHOP, start, start + timedelta(hours=2))
    with store.read() as conn:
        before = totals(conn, window), over_time(conn, window, timedelta(hours=1))
        rows = conn.scalar(select(func.count()).select_from(timings))
    no_limit = Limits(days=0, events=0, bytes=0)
    for _ in range(2):  # the second time there is nothing left to do
        with time_machine.travel(start + timedelta(days=4)):
            prune(store, no_limit)
        with store.read() as conn:
            assert (totals(conn, window), over_time(conn, window, timedelta(hours=1))) == before
            left = conn.scalar(select(func.count()).select_from(timings))
            minutes = set(conn.scalars(select(timings.c.minute).distinct()))
        assert rows and left and left < rows and {minute % 60 for minute in minutes} == {0}
    agrees(before[0], stream)
    with time_machine.travel(start + timedelta(days=92)):
        prune(store, no_limit)
    with store.read() as conn:
        for table in (timings, timing_series):
            assert conn.scalar(select(func.count()).select_from(table)) == 0


def test_minutes_of_the_last_days_stay(app: Flask, store: Store) -> None:
    with time_machine.travel("2026-03-01T12:07:00Z", tick=False):
        take(app, [Request("/cart", "1", 10.0, False)])
    with time_machine.travel("2026-03-03T12:00:00Z"):
        prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        [minute] = conn.scalars(select(timings.c.minute))
    assert minute % 60 == 7
