"""Custom metrics: every figure against an independent count, whatever strangers send."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.events.tables import envelopes
from app.insights.metrics import (
    MetricFigures,
    MetricName,
    MetricSelection,
    detail_of,
    lines_of,
    names_of,
)
from app.insights.reading import has_any, options_of
from app.intake import Intake
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.envelope import parse_envelope
from app.protocol.measures import NOTHING, read_measures
from app.protocol.metrics import MetricKey, read_metrics
from app.protocol.packing import unpack
from app.stats.additive import OTHER
from app.stats.buckets import value_bucket_of, value_of, value_percentiles
from app.stats.metrics import METRICS, metric_buckets, metric_points, metric_series
from app.store import Store, utc_now
from tests.conftest import parts_of
from tests.ingest.corpus import FOLDER
from tests.insights.metrics_stream import UNITS, Value, envelope, values
from tests.insights.stream import TOLERANCE, exact

SHOP = 7
MINUTE = timedelta(minutes=1)
KEPT_FOR_EVER = Limits(days=0, events=0, bytes=0)


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, "a" * 32)
    yield store


def take(app: Flask, *payloads: Any, project_id: int = SHOP, **headers: Any) -> None:
    sent = envelope(*payloads, **headers)
    parts_of(app).intake.accept(sent, project_id=project_id, timeout_s=10)


def agrees(found: MetricFigures, stream: list[Value]) -> None:
    """Hold figures against a count of the stream that knows nothing of rows and buckets."""
    sent = [one.value for one in stream]
    assert found.count == len(sent)
    assert (found.least, found.most) == (min(sent), max(sent))
    # What adding in another order may differ by, where large values cancel each other out.
    rounding = 1e-12 * sum(abs(value) for value in sent)
    assert found.sum == pytest.approx(math.fsum(sent), abs=rounding)
    assert found.average == pytest.approx(math.fsum(sent) / len(sent), abs=rounding)
    if stream[0].type == "gauge":
        assert found.last == max(stream, key=lambda one: one.at).value
    if stream[0].type == "distribution":
        expected = [exact(sent, share) for share in (0.5, 0.75, 0.95, 0.99)]
        assert found.percentiles == pytest.approx(expected, rel=TOLERANCE)
    else:
        assert found.percentiles == [None] * 4


def of(stream: list[Value], name: str, release: str | None = None) -> list[Value]:
    return [one for one in stream if one.name == name and release in (None, one.release)]


# ---- buckets ------------------------------------------------------------------------------------

magnitudes = st.one_of(
    st.floats(-1e39, 1e39, allow_nan=False).filter(lambda value: not 0 < abs(value) < 1e-39),
    st.floats(-1e3, 1e3).filter(lambda value: not 0 < abs(value) < 1e-39),
)


@given(st.lists(magnitudes, min_size=1, max_size=200), st.floats(0.01, 1))
def test_percentile_of_values_of_any_sign_and_size_is_within_two_and_a_half_percent(
    sent: list[float], share: float
) -> None:
    counts: dict[int, int] = {}
    for value in sent:
        counts[value_bucket_of(value)] = counts.get(value_bucket_of(value), 0) + 1
    assert value_percentiles(counts, [share]) == pytest.approx([exact(sent, share)], rel=TOLERANCE)


@pytest.mark.parametrize("value", [0.0, 1e-41, 5e-324, 1e-40, 1.0, 9.99e39])
def test_values_of_every_size_have_a_bucket_that_fits_its_column(value: float) -> None:
    for one in (value, -value):
        assert -(2**15) < value_bucket_of(one) < 2**15
        assert value_of(value_bucket_of(one)) == pytest.approx(one, rel=TOLERANCE, abs=1e-40)


# ---- reading ------------------------------------------------------------------------------------


def read(*payloads: Any) -> list[Any]:
    return read_metrics(envelope(*payloads))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "sentry-python-2.75.0__metric-none",
            [
                ("orders.created", "counter", "", [1.0]),
                ("queue.depth", "gauge", "", [12.5]),
                ("latency", "distribution", "millisecond", [187.3]),
            ],
        ),
        ("sentry-node-11.12.0__metric", [("js.count", "counter", "", [3.0])]),
    ],
)
def test_metrics_that_real_clients_sent_are_read(name: str, expected: list[Any]) -> None:
    found = read_metrics(parse_envelope((FOLDER / f"{name}.body").read_bytes()))
    assert [(one.key.name, one.key.type, one.key.unit, one.values) for one in found] == expected
    [where] = {(one.key.release, one.key.environment) for one in found}
    assert where in {("deveniro@1.4.2+build7", "staging"), ("front@2.0.1", "prod-eu")}


GOOD = {"name": "n", "type": "counter", "value": 2}


@pytest.mark.parametrize(
    "change",
    [
        *({"value": value} for value in (math.nan, math.inf, -math.inf, True, "3", None, [], {})),
        *({"value": value} for value in (10**300, -(10**300), 1e40, -1e300, 10**5000)),
        *({"name": name} for name in (None, "", "   ", 7, ["n"], {"n": 1})),
        *({"type": kind} for kind in (None, "", "set", "Counter", 1, ["counter"], {})),
    ],
)
def test_what_is_no_metric_counts_as_nothing_and_hides_no_other(change: dict[str, Any]) -> None:
    [found] = read(GOOD, {**GOOD, **change}, GOOD)
    assert found.values == [2.0, 2.0]


@pytest.mark.parametrize(
    "payload", [None, 1, "x", [], [[]], {}, {"items": {}}, {"items": [1, None]}]
)
def test_payload_of_another_shape_counts_as_nothing(payload: Any) -> None:
    sent = envelope()
    sent.items[0].payload = payload
    assert read_measures(sent) is NOTHING
    sent.items[0].payload = json.dumps(payload).encode()
    assert read_measures(sent) is NOTHING


def test_names_are_kept_as_far_as_they_can_be_stored() -> None:
    attributes = {
        "sentry.release": {"value": "r" * 300},
        "sentry.environment": ["production"],
    }
    strange = {**GOOD, "name": "\ud800" + "n" * 300, "unit": "u" * 300, "attributes": attributes}
    [found] = read(strange)
    assert found.key == MetricKey(
        "\N{REPLACEMENT CHARACTER}" + "n" * 199, "counter", "u" * 40, "r" * 250, ""
    )
    for unit in ("none", None, "", 1, [], {}):
        assert read({**GOOD, "unit": unit, "attributes": "no"})[0].key.unit == ""


def test_last_value_of_a_gauge_is_the_newest_however_they_stand() -> None:
    gauge = {"name": "depth", "type": "gauge"}
    taken = [(3, 30.0), (9, 90.0), (6, 60.0)]
    [found] = read(*({**gauge, "value": value, "timestamp": at} for value, at in taken))
    assert (found.last, found.last_at, found.values) == (9, 90, [3, 9, 6])
    [found] = read(*({**gauge, "value": n, "timestamp": at} for n, at in [(1, 5.0), (2, "never")]))
    assert (found.last, found.last_at) == (2, math.inf)


# ---- the stream ---------------------------------------------------------------------------------


def test_stream_of_two_applications_adds_up_to_the_exact_count(app: Flask, store: Store) -> None:
    since = utc_now()
    stream = values(900, first_at=since.timestamp() - 100)
    other = Intake(store, parts_of(app).intake.emergency, parts_of(app).intake.scrubber)
    # Batches of many sizes, by two processes in turn.
    for number, first in enumerate(range(0, 900, 45)):
        intake = other if number % 2 else parts_of(app).intake
        payloads = [one.payload() for one in stream[first : first + 45]]
        intake.accept(envelope(*payloads), project_id=SHOP, timeout_s=10)
    other.close()
    everything = MetricSelection(SHOP, since, utc_now() + MINUTE)
    with store.read() as conn:
        names = names_of(conn, everything)
        assert {(one.name, one.unit) for one in names} == set(UNITS.items())
        for line in lines_of(conn, everything, names, MINUTE):
            agrees(line.figures, of(stream, line.metric.name))
            assert sum(step.count for step in line.steps) == line.figures.count
        for name in UNITS:
            chosen = MetricSelection(SHOP, since, utc_now() + MINUTE, name)
            found = detail_of(conn, chosen, MINUTE)
            agrees(found.total, of(stream, name))
            assert found.releases.keys() == {"1.0", "2.0"}
            for release, figures in found.releases.items():
                agrees(figures, of(stream, name, release))
            total = MetricFigures()
            for step in found.steps:
                total.add(step)
            agrees(total, of(stream, name))
        assert options_of(METRICS, conn, SHOP, since) == {
            "release": ["2.0", "1.0"],
            "environment": ["production"],
        }
        assert has_any(METRICS, conn, SHOP) and not has_any(METRICS, conn, 1)


def test_metrics_of_the_applications_own_sdk_count(app: Flask, store: Store) -> None:
    since = utc_now()
    for number in range(4):
        sentry_sdk.metrics.count("own.calls", number)
        sentry_sdk.metrics.gauge("own.depth", number, unit="byte")
        sentry_sdk.metrics.distribution("own.size", number, attributes={"of": "all"})
    sentry_sdk.flush(timeout=5)
    chosen = MetricSelection(1, since, utc_now() + MINUTE)
    with store.read() as conn:
        lines = lines_of(conn, chosen, names_of(conn, chosen), MINUTE)
        detail = detail_of(conn, chosen, MINUTE)
    found = {line.metric: line.figures for line in lines}
    calls, depth, size = (found[name] for name in sorted(found))
    assert sorted(found)[1] == MetricName("own.depth", "gauge", "byte")
    assert (calls.sum, depth.last, size.percentiles[0]) == (6, 3, pytest.approx(1, rel=TOLERANCE))
    assert detail.releases.keys() == {"shop@1.2.3"}


def test_minutes_are_the_doors_and_no_clock_of_a_client_is_ahead_of_it(
    app: Flask, store: Store
) -> None:
    noon = datetime(2026, 3, 1, 23, 59, 30, tzinfo=UTC)
    gauge = {"name": "depth", "type": "gauge"}
    with time_machine.travel(noon, tick=False):
        take(app, {**gauge, "value": 1, "timestamp": noon.timestamp() + 10**6})
    with time_machine.travel(noon + timedelta(seconds=40), tick=False):
        take(app, {**gauge, "value": 2, "timestamp": noon.timestamp() + 35})
        # No time at all: that of receipt stands for it, so that it is the newest.
        take(app, {**gauge, "value": 3, "timestamp": 0})
    with store.read() as conn:
        chosen = MetricSelection(SHOP, noon - MINUTE, noon + 3 * MINUTE)
        found = detail_of(conn, chosen, MINUTE)
    assert [step.count for step in found.steps] == [0, 1, 2, 0]
    assert [step.last for step in found.steps] == [None, 1, 3, None]
    assert found.total.last == 3


def test_metric_that_is_called_like_a_secret_is_counted(app: Flask, store: Store) -> None:
    since, metric = utc_now(), {"name": "password.resets", "type": "counter"}
    take(app, {**metric, "value": 3}, {**metric, "value": 4.5}, {**metric, "value": "hunter2"})
    with store.read() as conn:
        chosen = MetricSelection(SHOP, since, utc_now() + MINUTE, "password.resets")
        assert detail_of(conn, chosen, MINUTE).total.sum == 7.5
        [packed] = conn.scalars(select(envelopes.c.body))
    assert b"hunter2" not in unpack(packed) and b'"value":4.5' in unpack(packed)


# ---- once, and in bounds ------------------------------------------------------------------------


def test_envelope_with_an_event_id_that_comes_twice_is_counted_once(
    app: Flask, store: Store
) -> None:
    since = utc_now()
    create_project(store, "Other", 8, "b" * 32)
    for project_id in (SHOP, SHOP, 8):
        take(app, GOOD, project_id=project_id, event_id="e" * 32)
    take(app, GOOD)  # Without an id nothing tells it from another one like it.
    with store.read() as conn:
        for project_id, count in ((SHOP, 2), (8, 1)):
            chosen = MetricSelection(project_id, since, utc_now() + MINUTE)
            assert detail_of(conn, chosen, MINUTE).total.count == count


def test_beyond_the_bound_of_a_day_metrics_are_counted_as_one_of_their_type(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METRICS, "max_series", 5)
    since = utc_now()
    take(app, *({**GOOD, "name": f"{number:02}"} for number in range(5)))
    for kind in ("counter", "distribution"):
        for _ in range(2):
            payloads = ({**GOOD, "name": f"{n:04}", "type": kind} for n in range(1500))
            take(app, {**GOOD, "name": "00"}, *payloads)
    chosen = MetricSelection(SHOP, since, utc_now() + MINUTE)
    with store.read() as conn:
        names = names_of(conn, chosen)
        found = {line.metric: line.figures for line in lines_of(conn, chosen, names, MINUTE)}
    assert len(found) == 7
    assert found[MetricName(OTHER, "counter", "")].count == 3000
    assert found[MetricName(OTHER, "distribution", "")].percentiles[0] == pytest.approx(2)
    assert found[MetricName("00", "counter", "")].sum == 2 + 4 * 2


def test_largest_values_never_leave_what_the_store_holds(app: Flask, store: Store) -> None:
    since = utc_now()
    for value in (9e39, 9e39, -9e39, 1e-45):
        take(app, *[{**GOOD, "type": "distribution", "value": value}] * 500)
    with store.read() as conn:
        found = detail_of(conn, MetricSelection(SHOP, since, utc_now() + MINUTE), MINUTE).total
    assert found.sum == pytest.approx(500 * 9e39) and (found.least, found.most) == (-9e39, 9e39)
    assert found.percentiles == pytest.approx([1e-45, 9e39, 9e39, 9e39], rel=TOLERANCE, abs=1e-40)


# ---- growing old --------------------------------------------------------------------------------


def test_minutes_become_hours_and_no_figure_changes(app: Flask, store: Store) -> None:
    start = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    stream = values(240, seed=3, first_at=start.timestamp())
    for number in range(0, 240, 2):
        with time_machine.travel(start + timedelta(seconds=60 * number // 2), tick=False):
            take(app, *(one.payload() for one in stream[number : number + 2]))
    window = MetricSelection(SHOP, start, start + timedelta(hours=2))

    def figures() -> Any:
        with store.read() as conn:
            lines = lines_of(conn, window, names_of(conn, window), timedelta(hours=1))
            detail = [
                detail_of(conn, MetricSelection(SHOP, *window_of_it, name), timedelta(hours=1))
                for name in UNITS
            ]
            rows = conn.scalar(select(func.count()).select_from(metric_points))
            return lines, detail, rows

    window_of_it = (window.since, window.until)
    before, detail, rows = figures()
    for _ in range(2):  # the second time there is nothing left to do
        with time_machine.travel(start + timedelta(days=4)):
            prune(store, KEPT_FOR_EVER)
        lines, after, left = figures()
        for one, other in zip(lines, before, strict=True):
            assert one.figures.buckets == other.figures.buckets
            agrees(one.figures, of(stream, one.metric.name))
            assert [step.last for step in one.steps] == [step.last for step in other.steps]
            assert [step.count for step in one.steps] == [step.count for step in other.steps]
        for found, then in zip(after, detail, strict=True):
            assert [s.percentiles for s in found.steps] == [s.percentiles for s in then.steps]
        assert left < rows
        with store.read() as conn:
            for table in (metric_points, metric_buckets):
                minutes = set(conn.scalars(select(table.c.minute).distinct()))
                assert {minute % 60 for minute in minutes} == {0}
    with time_machine.travel(start + timedelta(days=92)):
        prune(store, KEPT_FOR_EVER)
    with store.read() as conn:
        for table in (metric_points, metric_buckets, metric_series):
            assert conn.scalar(select(func.count()).select_from(table)) == 0
