"""The pages of monitors in a browser: accessible in both looks, and read without scripts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe

from app.monitors.check_in import read_check_ins
from app.monitors.evaluation import evaluate
from app.monitors.recording import record
from app.protocol.envelope import Envelope, Item
from app.store import Store
from tests.browser.conftest import LOOKS, Server, Watched
from tests.monitors.steps import CONFIG

PATHS = ("/admin/monitors", "/admin/monitors/1/nightly-report", "/admin/monitors/new")


@pytest.fixture(scope="package")
def jobs(server: Server) -> None:
    """Three months of a nightly job, an import that runs, and a job with a wrong schedule."""
    store = Store(f"sqlite:///{server.data_dir / 'devenviro.sqlite3'}")
    night = datetime.now(UTC).replace(hour=1, minute=0, second=5) - timedelta(days=45)
    for number in range(45):
        if number % 11 != 10:
            name, ended = uuid.uuid4().hex, night + timedelta(seconds=40 + 7 * (number % 9))
            status = "error" if number % 13 == 12 else "ok"
            trace = {"trace": {"trace_id": uuid.uuid4().hex}}
            first = {"check_in_id": name, "monitor_config": CONFIG, "contexts": trace}
            apply(store, night, "nightly-report", "in_progress", **first)
            apply(store, ended, "nightly-report", status, check_in_id=name, contexts=trace)
        night += timedelta(days=1)
    now = datetime.now(UTC)
    apply(store, now, "import", "in_progress", environment="staging-" + "long" * 12)
    apply(store, now, "wrong", "error", monitor_config={"schedule": {"type": "sometimes"}})
    evaluate(store, now, now)
    store.dispose()


def apply(store: Store, at: datetime, slug: str, status: str, **fields: object) -> None:
    payload = {"monitor_slug": slug, "status": status, **fields}
    envelope = Envelope({}, [Item({"type": "check_in"}, payload)])
    with store.write() as conn:
        record(conn, list(read_check_ins(envelope, 1, at)), at)


@LOOKS
def test_pages_of_monitors_are_accessible(
    server: Server, jobs: None, new_page: Callable[..., Watched], width: int, theme: str
) -> None:
    page = new_page(width, theme).go(PATHS[0])
    for path in PATHS:
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_monitor_is_read_and_paused_without_scripts(
    server: Server, jobs: None, new_page: Callable[..., Watched]
) -> None:
    page = new_page(java_script_enabled=False).go(PATHS[0])
    page.get_by_role("link", name="wrong").click()
    page.get_by_role("button", name="Pause").click()
    assert page.locator(".headed .state").inner_text() == "paused"
    page.get_by_role("button", name="Go on").click()
    assert page.locator(".headed .state").inner_text() == "waiting"
