"""This application's own requests: each counted once, by its route, and not those of plumbing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sentry_sdk
from flask import Flask, abort
from flask.testing import FlaskClient

from app.insights.performance import Figures, Selection, figures_by
from app.stats import observations
from app.store import utc_now
from app.web import access
from app.web import application as web_module
from app.web import observer as observer_module
from tests.conftest import parts_of
from tests.insights.stream import TOLERANCE, exact
from tests.server_process import Server, serving, wait_for


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(web_module, "time", clock)
    monkeypatch.setattr(observer_module, "time", clock)
    return clock


def add_routes(app: Flask, clock: Clock) -> None:
    @app.get("/items/<int:number>")
    @access.anyone
    def item(number: int) -> dict[str, int]:
        clock.now += number / 1000
        return {"number": number}

    @app.get("/breaks")
    @access.anyone
    def breaks() -> None:
        clock.now += 0.2
        raise ValueError("no price")

    @app.get("/refuses/<int:status>")
    @access.anyone
    def refuses(status: int) -> None:
        abort(status)


def counted(app: Flask, project_id: int = 1, by: str = "transaction") -> dict[str, Figures]:
    parts, now = parts_of(app), utc_now()
    parts.intake.flush()
    with parts.store.read() as conn:
        window = now - timedelta(hours=1), now + timedelta(minutes=2)
        return figures_by(conn, Selection(project_id, *window), by)


def test_own_requests_are_counted_by_their_route_exactly(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    add_routes(app, clock)
    for number in range(1, 201):
        assert client.get(f"/items/{number}").status_code == 200
    for _ in range(3):
        assert client.get("/breaks").status_code == 500
    for status in (404, 503):
        client.get(f"/refuses/{status}")
    for path in ("/items/none", "/nowhere/at/all", f"/{'x' * 300}"):
        assert client.get(path).status_code == 404
    client.post("/items/1")
    found = counted(app)
    assert {name: tuple(figures.rate) for name, figures in found.items()} == {
        "/items/<int:number>": (200, 0),
        "/breaks": (3, 3),
        "/refuses/<int:status>": (2, 1),
        "<unmatched>": (4, 0),
    }
    p = found["/items/<int:number>"].percentiles
    for share, value in ((0.5, p.p50_ms), (0.75, p.p75_ms), (0.95, p.p95_ms), (0.99, p.p99_ms)):
        assert value == pytest.approx(
            exact([float(n) for n in range(1, 201)], share), rel=TOLERANCE
        )
    assert found["/breaks"].percentiles.p50_ms == pytest.approx(200, rel=TOLERANCE)
    assert counted(app, by="release").keys() == {"shop@1.2.3"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/health/live"),
        ("GET", "/static/css/app.css"),
        ("GET", "/static/nothing"),
        ("GET", "/admin/live/events"),
        ("POST", "/api/1/envelope/"),
        ("POST", "/some/where/api/1/store/"),
        ("POST", "/tunnel/"),
        ("POST", "/monitoring"),
    ],
)
def test_plumbing_is_not_counted(app: Flask, client: FlaskClient, method: str, path: str) -> None:
    client.open(path, method=method, data=b"{}\n" if method == "POST" else None).close()
    assert counted(app) == {}


def test_request_that_the_sdk_traces_is_counted_once(make_app: Callable[..., Flask]) -> None:
    app = make_app(SENTRY_TRACES_SAMPLE_RATE=1.0)
    add_routes(app, Clock())
    for _ in range(4):
        app.test_client().get("/items/1")
    sentry_sdk.flush()
    found = counted(app)
    assert parts_of(app).intake.flush() is None
    items = app.test_client().get("/system/status").json["items"]
    assert items["transaction"] == 4  # stored all the same
    assert {name: figures.requests for name, figures in found.items()} == {"/items/<int:number>": 4}


def test_counts_wait_while_the_store_is_held_and_none_is_lost(
    app: Flask, client: FlaskClient
) -> None:
    add_routes(app, Clock())
    with parts_of(app).store.write():
        for _ in range(5):
            client.get("/items/1")
    assert counted(app)["/items/<int:number>"].requests == 5


def test_what_waits_in_memory_is_bounded(
    app: Flask, client: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = parts_of(app).intake
    monkeypatch.setattr(observations, "MAX_TIMINGS", 3)
    monkeypatch.setattr(intake._buffer, "wake", lambda: None)
    add_routes(app, clock)
    for path in ("/items/1", "/refuses/404", "/items/1", "/nowhere/at/all", "/breaks"):
        client.get(path)
    assert {name: figures.requests for name, figures in counted(app).items()} == {
        "/items/<int:number>": 2,
        "/refuses/<int:status>": 1,
    }
    assert 'devenviro_counter_total{name="buffer_overflow"} 2' in client.get("/metrics").text


def test_every_worker_counts_and_stopping_them_loses_nothing(tmp_path: Path) -> None:
    def asked(server: Server) -> int:
        rows = server.get("/api/performance")["performance"]
        return sum(row["requests"] for row in rows if row["transaction"] == "/api/issues")

    with serving(tmp_path / "data", WEB_CONCURRENCY="2") as server:
        for _ in range(30):
            server.get("/api/issues")
    with serving(tmp_path / "data", WEB_CONCURRENCY="1") as server:
        assert asked(server) == 30
        server.get("/api/issues")
        wait_for(lambda: asked(server) == 31)  # and without being stopped, soon
