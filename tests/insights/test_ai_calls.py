"""A known stream of AI calls, by both doors: every figure against an independent count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from sqlalchemy import func, select

from app.insights.ai_calls import (
    CallFigures,
    CallLine,
    Selection,
    latest,
    over_time,
    survey,
    total_of,
)
from app.insights.reading import options_of
from app.intake import Intake
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.envelope import Envelope
from app.stats import ai_calls as ai_calls_module
from app.stats.additive import OTHER
from app.stats.ai_calls import AI_CALLS, ai_hours, ai_series
from app.stats.tables import ai_calls
from app.store import Store, utc_now
from app.web import access
from tests.conftest import parts_of
from tests.insights.ai_stream import Call, calls, envelopes, stream, transaction
from tests.insights.stream import TOLERANCE, exact

SHOP = 7
ONE = Call(0, "chat", "gpt-4o", "1.0", 100.0, False, 10, 5)


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, "a" * 32)
    yield store


def take(app: Flask, *some: Envelope) -> None:
    for envelope in some:
        parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)


def everything(since: datetime | None = None) -> Selection:
    now = utc_now()
    return Selection(SHOP, since or now - timedelta(hours=1), now + timedelta(hours=2))


def agrees(found: CallFigures, given: Sequence[Call]) -> None:
    """Hold figures against a count of the stream that knows nothing of buckets."""
    durations = [one.ms for one in given if one.ms is not None]
    assert found.requests == len(given)
    assert found.failures == sum(one.failed for one in given)
    assert found.input_tokens == sum(one.input_tokens or 0 for one in given)
    assert found.output_tokens == sum(one.output_tokens or 0 for one in given)
    assert found.total_tokens == found.input_tokens + found.output_tokens
    assert found.percentiles.measured == len(durations)
    for name, share in {"p50_ms": 0.5, "p95_ms": 0.95}.items():
        expected = pytest.approx(exact(durations, share), rel=TOLERANCE)
        assert getattr(found.percentiles, name) == expected


def by_name(lines: list[CallLine]) -> dict[str, CallFigures]:
    assert len({line.name for line in lines}) == len(lines)
    return {line.name: line.figures for line in lines}


def test_stream_that_two_processes_get_twice_adds_up_to_the_exact_count(
    app: Flask, store: Store
) -> None:
    given, since = calls(500), utc_now()
    first = parts_of(app).intake
    other = Intake(store, first.emergency, first.scrubber)
    # Each in turn sees an envelope first, and the other one gets it again.
    for number, twice in enumerate(zip(envelopes(given), envelopes(given), strict=True)):
        turns = (first, other) if number % 2 else (other, first)
        for intake, envelope in zip(turns, twice, strict=True):
            intake.accept(envelope, project_id=SHOP, timeout_s=10)
    other.close()
    models = [one for one in given if one.kind == "model"]
    with store.read() as conn:
        found = survey(conn, everything(since))
        names = by_name(found["model"])
        assert names.keys() == {"gpt-4o", "claude", "small"}
        for name, figures in names.items():
            agrees(figures, [model for model in models if model.model == name])
        for line in found["operation"]:
            some = [one for one in given if one.operation == line.name]
            agrees(line.figures, some)
            assert line.kind == some[0].kind
        agrees(total_of(found["model"]), models)
        narrow = replace(everything(since), release="2.0", model="claude", environment="production")
        some = [one for one in given if (one.release, one.model) == ("2.0", "claude")]
        agrees(total_of(survey(conn, narrow)["operation"]), some)
        agrees(
            total_of(survey(conn, replace(narrow, operation="execute_tool"))["model"]),
            [one for one in some if one.operation == "execute_tool"],
        )
        steps = over_time(conn, everything(since).headline, timedelta(hours=1))
        agrees(total_of([CallLine("", "model", step) for step in steps]), models)
        rows = latest(conn, everything(since), limit=1000)
        assert len(rows) == len(given) and all(row.envelope_id for row in rows)
        assert {(row.span_id, row.input_tokens, row.failed) for row in rows} == {
            (one.span()["span_id"], one.input_tokens, one.failed) for one in given
        }
        assert options_of(AI_CALLS, conn, SHOP, since) == {
            "release": ["2.0", "1.0"],
            "environment": ["production"],
        }


def test_call_counts_once_whether_its_transaction_or_its_span_comes_again(
    app: Flask, store: Store
) -> None:
    create_project(store, "Other", 8, "b" * 32)
    take(app, transaction([ONE], "e" * 32), transaction([ONE], "e" * 32), stream([ONE, ONE]))
    take(app, stream([replace(ONE, number=1)] * 2))
    parts_of(app).intake.accept(stream([ONE]), project_id=8, timeout_s=10)
    nameless = transaction([ONE], "f" * 32)
    nameless.items[0].payload["contexts"]["trace"]["span_id"] = None
    take(app, nameless)  # may be any call, so it is one more
    with store.read() as conn:
        assert total_of(survey(conn, everything())["model"]).requests == 3
        other = replace(everything(), project_id=8)
        assert total_of(survey(conn, other)["model"]).requests == 1


def test_own_traced_request_counts_its_calls(make_app: Callable[..., Flask]) -> None:
    app = make_app(SENTRY_TRACES_SAMPLE_RATE=1.0)

    @app.get("/ask")
    @access.anyone
    def ask() -> str:
        with sentry_sdk.start_span(op="gen_ai.embeddings", name="embeddings tiny") as span:
            span.set_data("gen_ai.operation.name", "embeddings")
            span.set_data("gen_ai.request.model", "tiny")
            span.set_data("gen_ai.usage.input_tokens", 12)
        return "answered"

    assert app.test_client().get("/ask").status_code == 200
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        [row] = latest(conn, replace(everything(), project_id=1))
        [line] = survey(conn, replace(everything(), project_id=1))["model"]
    assert (row.model, row.operation, row.input_tokens) == ("tiny", "embeddings", 12)
    assert row.release == "shop@1.2.3" and row.environment == "testing" and row.ms >= 0
    assert (line.name, line.figures.requests, line.figures.total_tokens) == ("tiny", 1, 12)


# ---- in bounds ----------------------------------------------------------------------------------


def test_beyond_the_bound_of_a_day_models_are_counted_as_one(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AI_CALLS, "max_series", 5)
    given = [replace(ONE, number=number, model=f"m{number}") for number in range(20)]
    agents = [replace(ONE, number=20, operation="invoke_agent")]
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        take(app, stream(given), stream(agents))
        take(app, stream([replace(ONE, number=50, model="m1")]))  # has its place
        with store.read() as conn:
            found = survey(conn, everything())
    names = by_name(found["model"])
    assert len(names) == 6 and names[OTHER].requests == 15 and names["m1"].requests == 2
    agrees(total_of(found["model"]), [ONE] * 21)
    assert [(line.name, line.kind) for line in found["operation"] if line.kind == "agent"] == [
        (OTHER, "agent")
    ]


def test_thousands_of_calls_in_one_envelope_are_taken_in_bounds(app: Flask, store: Store) -> None:
    many = [replace(ONE, number=number, model=f"m{number}") for number in range(10_000)]
    take(app, stream(many))
    with store.read() as conn:
        assert total_of(survey(conn, everything())["model"]).requests == 1000
        assert conn.scalar(select(func.count()).select_from(ai_calls)) == 1000


def test_project_keeps_its_newest_calls_and_every_count(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ai_calls_module, "KEPT", 20)
    monkeypatch.setattr(ai_calls_module, "TRIM_EVERY", 10)
    create_project(store, "Other", 8, "b" * 32)
    parts_of(app).intake.accept(stream([ONE]), project_id=8, timeout_s=10)
    for first in range(0, 100, 10):
        take(app, stream([replace(ONE, number=number) for number in range(first, first + 10)]))
    with store.read() as conn:
        rows = latest(conn, everything(), limit=1000)
        assert [row.span_id for row in rows] == [f"{n + 1:016x}" for n in range(99, 79, -1)]
        assert total_of(survey(conn, everything())["model"]).requests == 100
        assert len(latest(conn, replace(everything(), project_id=8))) == 1


def test_calls_grow_old_and_their_counts_later(app: Flask, store: Store) -> None:
    start = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        take(app, stream([ONE]))
    window = Selection(SHOP, start - timedelta(minutes=30), start + timedelta(hours=1))
    limits = Limits(days=30, events=0, bytes=0)
    for days, kept, counted in ((29, 1, 1), (31, 0, 1), (92, 0, 0)):
        with time_machine.travel(start + timedelta(days=days)):
            prune(store, limits)
        with store.read() as conn:
            assert len(latest(conn, window)) == kept
            assert total_of(survey(conn, window)["model"]).requests == counted
    with store.read() as conn:
        for table in (ai_hours, ai_series):
            assert conn.scalar(select(func.count()).select_from(table)) == 0


def test_call_stays_when_its_envelope_goes(app: Flask, store: Store) -> None:
    take(app, stream([ONE]))
    prune(store, Limits(days=0, events=0, bytes=1))
    with store.read() as conn:
        [row] = latest(conn, everything())
    assert row.envelope_id is None and row.model == "gpt-4o"
