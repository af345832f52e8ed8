"""Counts that come when their day is rolled up already stand in the hours of that day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.intake.retention import Limits, prune
from app.protocol.envelope import Envelope, Item
from app.protocol.measures import read_measures, with_timings
from app.stats.counting import Measured
from app.stats.measuring import MeasureCounters
from app.stats.metrics import metric_points
from app.stats.sessions import session_counts
from app.stats.timings import timings
from app.store import utc_now
from tests.conftest import parts_of

DAY = timedelta(days=1)
METRIC = {"name": "m", "type": "gauge", "value": 3.0, "timestamp": 1.0}


def envelope() -> Envelope:
    transaction = {"transaction": "/pay", "start_timestamp": 1.0, "timestamp": 2.0}
    session = {"sid": "a" * 32, "status": "crashed", "attrs": {"release": "shop@1.0"}}
    metrics = Item({"type": "trace_metric"}, {"items": [METRIC]})
    return Envelope(
        {},
        [Item({"type": "transaction"}, transaction), metrics, Item({"type": "session"}, session)],
    )


@pytest.mark.parametrize("days", [7, 60])
def test_late_count_goes_into_the_hour_of_its_day(app: Flask, days: int) -> None:
    store, now = parts_of(app).store, utc_now()
    at = (now - days * DAY).replace(minute=17, second=5)
    measures = with_timings(read_measures(envelope()), envelope())
    for uid in ("a" * 32, "b" * 32):
        with store.write() as conn:
            MeasureCounters().add(conn, [Measured(1, uid, None, at, measures)], now)
        prune(store, Limits(90, 0, 0))
    hour = int(at.replace(minute=0, second=0, microsecond=0).timestamp()) // 60
    with store.read() as conn:
        timed = conn.execute(select(timings.c.minute, timings.c.requests)).all()
        points = conn.execute(select(metric_points.c.minute, metric_points.c.quantity)).all()
        sessions = conn.execute(select(session_counts.c.minute, session_counts.c.crashed)).all()
    assert [tuple(row) for row in timed] == [(hour, 2)]
    assert [tuple(row) for row in points] == [(hour, 2)]
    assert [tuple(row) for row in sessions] == [(hour, 2)]


def test_count_of_today_keeps_its_minute(app: Flask) -> None:
    store, now = parts_of(app).store, utc_now()
    measures = with_timings(read_measures(envelope()), envelope())
    with store.write() as conn:
        MeasureCounters().add(conn, [Measured(1, "a" * 32, None, now, measures)], now)
    with store.read() as conn:
        assert list(conn.scalars(select(timings.c.minute))) == [int(now.timestamp()) // 60]
