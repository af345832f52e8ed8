"""docs/how-to/add-an-insight.md, done: its code is run as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import time_machine
from flask import Blueprint, Flask
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import func, select

from app.admin import insight_page
from app.insights.reading import has_any, options_of
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.stats import declared
from app.stats.additive import OTHER
from app.stats.row_bounds import bound_rows
from app.store import Store, metadata
from tests.conftest import parts_of
from tests.insights.stream import Request

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "add-an-insight.md").read_text()
BLOCKS = dict(re.findall(r"```\w+\n(?:#|\{#) (\S+).*?\n(.*?)```", TEXT, re.DOTALL))
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHOP, DAY, NO_LIMIT = 7, timedelta(days=1), Limits(days=0, events=0, bytes=0)


def run(path: str, **names: Any) -> Any:
    module: Any = ModuleType(path)
    vars(module).update(names)
    exec(compile(BLOCKS[path], path, "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture
def apdex(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The declaration, as long as a test runs."""
    found = run("app/stats/apdex.py")
    monkeypatch.setattr(declared, "SERIES", (*declared.SERIES, found.APDEX))
    yield found
    for table in (found.SCORES.table, found.APDEX.table):
        metadata.remove(table)


@pytest.fixture
def app(apdex: Any, make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    store = parts_of(app).store
    with store.write() as conn:
        for table in (apdex.APDEX.table, apdex.SCORES.table):
            table.create(conn)
    create_project(store, "Shop", SHOP, "a" * 32)
    return app


@pytest.fixture
def insight(apdex: Any) -> Any:
    names = {"APDEX": apdex.APDEX, "SCORES": apdex.SCORES}
    return run("app/insights/apdex.py", **names)


def take(app: Flask, at: datetime, *requests: Request) -> None:
    with time_machine.travel(at, tick=False):
        for number, request in enumerate(requests):
            event_id = f"{int(at.timestamp())}{number:03}".zfill(32)
            envelope = request.envelope(event_id)
            parts_of(app).intake.accept(envelope, project_id=SHOP, timeout_s=10)


def rows(store: Store, *tables: Any) -> list[int]:
    with store.read() as conn:
        return [conn.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


# Three requests in each of four minutes: 100, 900 and 500 ms, the last two of another transaction.
FAST, SLOW, FAIR = (
    Request("/cart", "1.0", 100.0, False),
    Request("/pay", "1.0", 900.0, False),
    Request("/pay", "2.0", 500.0, False),
)


def stream(app: Flask) -> None:
    for minute in (0, 1, 2, 59):
        take(app, NOON + timedelta(minutes=minute), FAST, SLOW, FAIR)


def test_declared_insight_is_counted_and_read(app: Flask, apdex: Any, insight: Any) -> None:
    stream(app)
    chosen = insight.Selection(SHOP, NOON, NOON + timedelta(hours=1))
    with parts_of(app).store.read() as conn:
        found = insight.by_transaction(conn, chosen)
        steps = insight.over_time(conn, chosen, timedelta(minutes=30))
        options, there = options_of(apdex.APDEX, conn, SHOP, NOON), has_any(apdex.APDEX, conn, SHOP)
        cart = insight.by_transaction(conn, insight.Selection(*window(), release="2.0"))
    assert {name: (one.requests, one.satisfied) for name, one in found.items()} == {
        "/cart": (4, 4),
        "/pay": (8, 4),
    }
    assert found["/pay"].slowest_ms == pytest.approx(900) and found["/pay"].share == 0.5
    assert [step.requests for step in steps] == [9, 3]
    assert cart.keys() == {"/pay"} and cart["/pay"].requests == 4
    assert options["release"] == ["2.0", "1.0"] and there


def window() -> tuple[int, datetime, datetime]:
    return SHOP, NOON, NOON + timedelta(hours=1)


def test_transaction_that_comes_again_is_not_counted_again(app: Flask, insight: Any) -> None:
    for _ in range(2):
        take(app, NOON, FAST)
    with parts_of(app).store.read() as conn:
        found = insight.by_transaction(conn, insight.Selection(*window()))
    assert found["/cart"].requests == 1


def test_declared_insight_is_rolled_up_and_expires(app: Flask, apdex: Any, insight: Any) -> None:
    stream(app)
    store, series, counts = parts_of(app).store, apdex.APDEX.table, apdex.SCORES.table
    chosen = insight.Selection(*window())
    with store.read() as conn:
        before = insight.by_transaction(conn, chosen)
    assert rows(store, series, counts) == [3, 12]
    for days, left in ((1, [3, 12]), (4, [3, 3]), (92, [0, 0])):
        with time_machine.travel(NOON + days * DAY):
            prune(store, NO_LIMIT)
        assert rows(store, series, counts) == left
        with store.read() as conn:
            assert insight.by_transaction(conn, chosen) == (before if left[1] else {})


def test_declared_insight_is_bounded(
    app: Flask, apdex: Any, insight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apdex.APDEX, "max_series", 2)
    take(app, NOON, *(Request(f"/raw/{number}", "1.0", 100.0, False) for number in range(5)))
    store = parts_of(app).store
    with store.read() as conn:
        found = insight.by_transaction(conn, insight.Selection(*window()))
    assert {name: one.requests for name, one in found.items()} == {
        "/raw/0": 1,
        "/raw/1": 1,
        OTHER: 3,
    }
    monkeypatch.setattr("app.stats.row_bounds.MAX_ROWS", 1)
    bound_rows(store)
    assert rows(store, apdex.SCORES.table) == [1]


def test_page_shows_the_insight(
    app: Flask, insight: Any, login: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Blueprint("own", __name__, url_prefix="/admin")
    monkeypatch.setattr(insight_page, "bp", own)
    names = ("Selection", "by_transaction", "over_time")
    run("app/admin/apdex.py", **{name: getattr(insight, name) for name in names})
    app.register_blueprint(own)
    own_template = DictLoader({"apdex.html": BLOCKS["templates/apdex.html"]})
    app.jinja_loader = ChoiceLoader([own_template, app.jinja_loader])  # type: ignore[list-item]
    stream(app)
    with time_machine.travel(NOON + timedelta(minutes=59, seconds=30), tick=False):
        client = login(app.test_client())
        page = client.get(f"/admin/apdex?project={SHOP}&period=hour")
        narrowed = client.get(f"/admin/apdex?project={SHOP}&release=2.0")
        empty = client.get("/admin/apdex?project=1")
    assert page.status_code == 200
    assert re.findall(r"<td>(.+?)</td><td class=\"num\">(.+?)</td>", page.text) == [
        ("/pay", "50%"),
        ("/cart", "100%"),
    ]
    assert "/cart" not in narrowed.text and "/pay" in narrowed.text
    assert "Nothing was counted yet" in empty.text
