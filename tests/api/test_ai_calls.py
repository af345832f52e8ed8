"""/api/ai-calls: the figures that are there, apart as asked, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from tests.conftest import parts_of
from tests.insights.ai_stream import Call, calls, envelopes
from tests.insights.stream import TOLERANCE, exact

SHOP = 7
GIVEN = calls(120, seed=5)
MODELS = [one for one in GIVEN if one.kind == "model"]
PATH = f"/api/ai-calls?project_id={SHOP}"


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> Iterator[FlaskClient]:
    """A client of an application with the stream in it, all of it within one hour."""
    with time_machine.travel("2026-03-01T12:10:30Z", tick=False):
        app = make_app()
        create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
        for envelope in envelopes(GIVEN):
            parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)
        yield app.test_client()


def test_figures_are_told_by_model_and_by_operation_in_the_order_asked(client: FlaskClient) -> None:
    page = client.get(PATH).json
    assert (page["total"], page["next"]) == (3, None)
    for row in page["ai_calls"]:
        some = [one for one in MODELS if one.model == row["model"]]
        failures = sum(one.failed for one in some)
        assert (row["calls"], row["failures"], row["kind"]) == (len(some), failures, "model")
        assert row["failure_rate"] == pytest.approx(failures / len(some), abs=1e-6)
        assert row["input_tokens"] == sum(one.input_tokens or 0 for one in some)
        assert row["output_tokens"] == sum(one.output_tokens or 0 for one in some)
        durations = [one.ms for one in some if one.ms is not None]
        assert row["p95_ms"] == pytest.approx(exact(durations, 0.95), rel=TOLERANCE)
        assert row["operation"] is row["at"] is None
    rows = client.get(f"{PATH}&by=operation").json["ai_calls"]
    assert {(row["operation"], row["kind"]): row["calls"] for row in rows} == {
        (one.operation, one.kind): sum(two.operation == one.operation for two in GIVEN)
        for one in GIVEN
    }
    orders: dict[str, Callable[[list[Call]], float]] = {
        "busiest": len,
        "tokens": lambda some: sum((o.input_tokens or 0) + (o.output_tokens or 0) for o in some),
        "slowest": lambda some: exact([one.ms for one in some if one.ms is not None], 0.95),
        "failing": lambda some: sum(one.failed for one in some) / len(some),
    }
    for sort, key in orders.items():
        names, cursor = [], "0"
        while cursor:
            page = client.get(f"{PATH}&sort={sort}&limit=1&cursor={cursor}").json
            names += [row["model"] for row in page["ai_calls"]]
            cursor = page["next"]
        values = [key([one for one in MODELS if one.model == name]) for name in names]
        assert values == sorted(values, reverse=True) and len(set(names)) == 3, sort


def test_figures_are_narrowed_and_told_over_time(client: FlaskClient) -> None:
    for period, length in (("day", 24), ("week", 42), ("quarter", 90)):
        rows = client.get(f"{PATH}&by=time&period={period}&limit=1000").json["ai_calls"]
        assert (len(rows), sum(row["calls"] for row in rows)) == (length, len(MODELS))
    page = client.get(f"{PATH}&by=time&operation=invoke_agent&release=2.0").json
    counted = {row["at"]: row["calls"] for row in page["ai_calls"] if row["calls"]}
    wanted = ("invoke_agent", "2.0")
    assert counted == {
        "2026-03-01T12:00:00Z": sum((one.operation, one.release) == wanted for one in GIVEN)
    }
    assert (page["since"], page["until"]) == ("2026-02-28T13:00:00Z", "2026-03-01T13:00:00Z")
    assert client.get(f"{PATH}&environment=moon").json["ai_calls"] == []


@pytest.mark.parametrize(
    "query", ["period=hour", "by=user", "sort=fair", "cursor=-1", "project_id=0", "color=red"]
)
def test_wrong_parameter_is_named(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/ai-calls?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]
