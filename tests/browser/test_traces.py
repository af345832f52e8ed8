"""The page of a trace in a browser: accessible, folded with the keyboard, read without scripts."""

from __future__ import annotations

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe

from app.intake import Intake
from app.intake.emergency import EmergencyFolder
from app.protocol.envelope import Envelope
from app.protocol.scrub import Scrubber
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store import Store
from tests.browser.conftest import LOOKS, Server, Watched
from tests.traces.steps import TRACE, span, transaction

PATH = f"/admin/traces/{TRACE}"


def send_trace(server: Server) -> None:
    """Store a trace with repeated spans and a deep one, and an error in it."""
    many = [span(n, 2, n, 1, op="db", description=f"SELECT {n}") for n in range(10, 30)]
    deep = [span(n, n - 1, 40, 50, op="function", description=f"{'call' * n}") for n in range(3, 8)]
    first = span(2, 1, 5, 90, op="function", description="load")
    store = Store(f"sqlite:///{server.data_dir / 'devenviro.sqlite3'}")
    intake = Intake(store, EmergencyFolder(server.data_dir / "emergency"), Scrubber())
    item = transaction(1, [first, *many, *deep], trace={"status": "aborted"})
    intake.accept(Envelope({}, [item]), project_id=1, timeout_s=10)
    catch_up(store, SIGNALS)
    store.dispose()
    contexts = {"trace": {"trace_id": TRACE, "span_id": f"{5:016x}"}}
    server.insert({"message": "it failed inside", "level": "error", "contexts": contexts})


@LOOKS
def test_trace_is_accessible_and_folds_with_the_keyboard(
    server: Server, new_page: Callable[..., Watched], width: int, theme: str
) -> None:
    send_trace(server)
    page = new_page(width, theme).go(PATH)
    for path in (PATH, f"{PATH}?span={5:016x}"):
        page.goto(path)
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    page.goto(PATH)
    rows = page.locator(".waterfall .span:visible")
    before = rows.count()
    page.locator(".waterfall summary").first.press("Enter")
    assert rows.count() == 1 < before


def test_trace_is_read_without_scripts(server: Server, new_page: Callable[..., Watched]) -> None:
    send_trace(server)
    page = new_page(java_script_enabled=False).go(PATH)
    rows = page.locator(".waterfall .span:visible")
    before = rows.count()
    page.locator(".waterfall summary").last.click()
    assert rows.count() != before
    page.get_by_role("link", name="▲ it failed inside").first.click()
    assert "/admin/events/" in page.url
    page.get_by_role("link", name="trace", exact=True).click()
    assert page.url.endswith(PATH)
