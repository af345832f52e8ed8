"""/api/metrics: the figures that are there, apart as asked, in pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from tests.conftest import parts_of
from tests.insights.metrics_stream import UNITS, Value, envelope, values
from tests.insights.stream import TOLERANCE, exact

SHOP = 7
NOW = 1772367030.0  # 2026-03-01T12:10:30Z
STREAM = values(200, seed=5, first_at=NOW - 30)
PATH = f"/api/metrics?project_id={SHOP}"


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> Iterator[FlaskClient]:
    """A client of an application with the stream in it, all of it within one minute."""
    with time_machine.travel(NOW, tick=False):
        app = make_app()
        create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
        sent = envelope(*(one.payload() for one in STREAM))
        parts_of(app).intake.accept(sent, project_id=SHOP, timeout_s=10)
        yield app.test_client()


def of(name: str) -> list[Value]:
    return [one for one in STREAM if one.name == name]


def test_metrics_are_told_with_their_figures_by_name(client: FlaskClient) -> None:
    page = client.get(PATH).json
    assert (page["total"], page["next"]) == (4, None)
    assert (page["since"], page["until"]) == ("2026-03-01T11:11:00Z", "2026-03-01T12:11:00Z")
    rows = {row["name"]: row for row in page["metrics"]}
    assert list(rows) == sorted(UNITS)
    for name, row in rows.items():
        sent = [one.value for one in of(name)]
        assert (row["count"], row["unit"]) == (len(sent), UNITS[name])
        assert (row["least"], row["most"]) == (min(sent), max(sent))
        assert row["sum"] == pytest.approx(math.fsum(sent), rel=1e-9)
        assert row["release"] is row["at"] is None
    durations = [one.value for one in of("latency")]
    assert rows["latency"]["p95"] == pytest.approx(exact(durations, 0.95), rel=TOLERANCE)
    newest = max(of("queue.depth"), key=lambda one: one.at)
    assert rows["queue.depth"]["last"] == newest.value
    assert rows["orders"]["p50"] is rows["orders"]["last"] is rows["orders"]["last_at"] is None


def test_pages_hold_each_metric_once(client: FlaskClient) -> None:
    found, cursor = [], "0"
    while cursor:
        page = client.get(f"{PATH}&limit=1&cursor={cursor}").json
        found += [row["name"] for row in page["metrics"]]
        cursor = page["next"]
    assert found == sorted(UNITS)


def test_one_metric_is_told_apart_by_release_and_time(client: FlaskClient) -> None:
    one = f"{PATH}&name=latency&type=distribution&unit=millisecond"
    rows = client.get(f"{one}&by=release").json["metrics"]
    assert {row["release"]: row["count"] for row in rows} == {
        release: sum(value.release == release for value in of("latency"))
        for release in ("1.0", "2.0")
    }
    steps = client.get(f"{one}&by=time&release=2.0&limit=1000").json["metrics"]
    counted = {row["at"]: row["count"] for row in steps if row["count"]}
    assert counted == {"2026-03-01T12:10:00Z": rows[1]["count"]} and len(steps) == 60
    assert steps[0]["least"] is steps[0]["p50"] is steps[0]["average"] is None
    assert client.get(f"{one}&by=time&environment=staging&unit=second").json["total"] == 60
    assert client.get(f"{PATH}&environment=staging").json["metrics"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=year", "period"),
        ("by=user", "by"),
        ("type=set", "type"),
        ("cursor=-1", "cursor"),
        ("by=time&type=gauge", "name"),
        ("by=release&name=x", "type"),
    ],
)
def test_wrong_parameter_is_named(client: FlaskClient, query: str, field: str) -> None:
    answer = client.get(f"/api/metrics?{query}")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field
