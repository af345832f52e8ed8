"""/api/performance: the figures that are there, apart as asked, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from tests.conftest import parts_of
from tests.insights.stream import TOLERANCE, Request, exact, requests

SHOP = 7
STREAM = requests(200, seed=5)
PATH = f"/api/performance?project_id={SHOP}"


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> Iterator[FlaskClient]:
    """A client of an application with the stream in it, all of it within one minute."""
    with time_machine.travel("2026-03-01T12:10:30Z", tick=False):
        app = make_app()
        create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
        for number, request in enumerate(STREAM):
            envelope = request.envelope(f"{number:032x}")
            parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)
        yield app.test_client()


def of(name: str) -> list[Request]:
    return [one for one in STREAM if one.transaction == name]


def test_transactions_are_told_with_their_figures_the_slowest_first(client: FlaskClient) -> None:
    page = client.get(PATH).json
    assert (page["total"], page["next"]) == (3, None)
    assert [row["transaction"] for row in page["performance"]] == ["/report", "/search", "/cart"]
    for row in page["performance"]:
        stream = of(row["transaction"])
        failures = sum(one.failed for one in stream)
        assert (row["requests"], row["failures"]) == (len(stream), failures)
        assert row["failure_rate"] == pytest.approx(failures / len(stream), abs=1e-6)
        assert row["per_minute"] == pytest.approx(len(stream) / 60, abs=1e-3)
        durations = [one.ms for one in stream if one.ms is not None]
        assert row["p95_ms"] == pytest.approx(exact(durations, 0.95), rel=TOLERANCE)
        assert row["release"] is row["at"] is None


@pytest.mark.parametrize("sort", ["slowest", "failing", "busiest"])
def test_pages_of_every_sorting_hold_each_transaction_once(client: FlaskClient, sort: str) -> None:
    names, cursor = [], "0"
    while cursor:
        page = client.get(f"{PATH}&sort={sort}&limit=1&cursor={cursor}").json
        names += [row["transaction"] for row in page["performance"]]
        cursor = page["next"]
    shares = {name: sum(one.failed for one in of(name)) / len(of(name)) for name in set(names)}
    expected = {
        "slowest": ["/report", "/search", "/cart"],
        "failing": sorted(shares, key=lambda name: -shares[name]),
        "busiest": sorted(shares, key=lambda name: -len(of(name))),
    }
    assert names == expected[sort]


def test_figures_are_narrowed_and_told_apart_by_release_and_time(client: FlaskClient) -> None:
    releases = client.get(f"{PATH}&by=release&transaction=/cart").json["performance"]
    assert {row["release"]: row["requests"] for row in releases} == {
        name: sum(one.release == name for one in of("/cart")) for name in ("1.0", "2.0")
    }
    page = client.get(f"{PATH}&by=time&release=2.0&environment=production&limit=1000").json
    steps = page["performance"]
    counted = {row["at"]: row["requests"] for row in steps if row["requests"]}
    assert counted == {"2026-03-01T12:10:00Z": sum(one.release == "2.0" for one in STREAM)}
    assert (len(steps), page["since"], page["until"]) == (
        60,
        "2026-03-01T11:11:00Z",
        "2026-03-01T12:11:00Z",
    )
    assert steps[0]["p50_ms"] is None and steps[0]["failure_rate"] == 0
    for period, length in (("day", 48), ("week", 42), ("quarter", 90)):
        rows = client.get(f"{PATH}&by=time&period={period}&limit=1000").json["performance"]
        assert (len(rows), sum(row["requests"] for row in rows)) == (length, len(STREAM))
    assert client.get(f"{PATH}&environment=staging").json["performance"] == []


@pytest.mark.parametrize(
    "query", ["period=year", "by=user", "sort=fair", "cursor=-1", "project_id=0", "color=red"]
)
def test_wrong_parameter_is_named(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/performance?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]
