"""@sentry/browser in Chromium, on a page of another origin than the service."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.clients.conftest import BIN, PROGRAMS, Program
from tests.clients.finding import assert_everything_is_found
from tests.clients.known_stream import STREAM
from tests.person import Person
from tests.server_process import wait_for

pytestmark = pytest.mark.usefixtures("needs_npm")


@dataclass
class Shop:
    """A page, and what became of the requests that it sent to the service."""

    page: Page
    statuses: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def start(self, dsn: str, **options: Any) -> None:
        """Set the SDK up."""
        self.page.evaluate("options => start(options)", {"dsn": dsn, **options})

    def flush(self) -> None:
        """Wait until the SDK has sent what it has."""
        assert self.page.evaluate("() => Sentry.flush(10_000)")


@pytest.fixture(scope="module")
def origin(needs_npm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with the page and the SDK in one file, as a bundler makes it."""
    folder = tmp_path_factory.mktemp("shop")
    bundle = ["--bundle", f"--outfile={folder / 'shop.js'}", "--log-level=warning"]
    subprocess.run([BIN / "esbuild", PROGRAMS / "browser.js", *bundle], check=True)
    page = '<!doctype html><link rel="icon" href="data:,"><script src="shop.js"></script>'
    (folder / "index.html").write_text(page)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"THE BROWSER'S CLIENT DID NOT RUN: there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def shop(browser: Browser, origin: str, program: Program) -> Iterator[Shop]:
    page = browser.new_page()
    shop = Shop(page)
    inward = program.server.url

    def note(response: Any) -> None:
        if response.url.startswith(inward):
            shop.statuses.append(response.status)
            shop.methods.append(response.request.method)

    page.on("response", note)
    page.on("requestfailed", lambda request: shop.failed.append(f"{request.url} {request.failure}"))
    page.goto(origin)
    yield shop
    page.close()


def test_browser_reports_and_everything_is_kept(shop: Shop, program: Program) -> None:
    shop.start(program.dsn)
    ids = [shop.page.evaluate(f"() => capture({order})") for order in (17, 18)]
    shop.page.evaluate("() => Sentry.captureMessage('the till is open', 'warning')")
    shop.page.evaluate("() => throwLater(19)")
    shop.page.evaluate("() => rejectLater()")
    wait_for(lambda: len(program.events()) == 5)
    shop.flush()
    assert set(shop.statuses) == {200} and program.other_statuses() == set() and shop.failed == []
    first, second = (program.event(event_id) for event_id in ids)
    assert_is_the_order_without_a_price(first, shop)
    assert first["issue_id"] == second["issue_id"]
    unhandled = [program.event(event["event_id"]) for event in program.events()]
    assert {
        (one["exceptions"][-1]["type"], one["exceptions"][-1]["handled"])
        for one in unhandled
        if one["exceptions"]
    } >= {("RangeError", True), ("RangeError", False), ("TypeError", False)}
    assert {"event", "session"} <= program.kinds() and "client_report" not in program.kinds()


def assert_is_the_order_without_a_price(event: dict[str, Any], shop: Shop) -> None:
    raised = event["exceptions"][-1]
    assert (raised["type"], raised["value"]) == ("RangeError", "order 17 has no price")
    assert raised["frames"][-1]["function"] == "price" and raised["frames"][-1]["lineno"] > 1
    assert raised["frames"][-1]["filename"] == f"{shop.page.url}shop.js"
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "staging")
    assert event["tags"]["shelf"] == "a7" and event["user"]["id"] == "u-1"
    assert event["platform"] == "javascript" and event["request"]["url"] == shop.page.url


def test_browser_that_has_to_ask_first_is_allowed_to(shop: Shop, program: Program) -> None:
    # A header that no simple request has makes the browser send its preflight.
    headers = {"X-Sentry-Auth": "Sentry sentry_version=7", "X-Requested-With": "shop"}
    shop.start(program.dsn, transportOptions={"headers": headers})
    event_id = shop.page.evaluate("() => capture(17)")
    shop.flush()
    assert_is_the_order_without_a_price(program.event(event_id), shop)
    assert program.other_statuses() == {204} and shop.failed == []


@pytest.mark.parametrize("path", ["/tunnel", "/whatever-is-free"])
def test_browser_reports_through_a_tunnel(shop: Shop, program: Program, path: str) -> None:
    shop.start(program.dsn, tunnel=program.server.url + path)
    event_id = shop.page.evaluate("() => capture(17)")
    shop.flush()
    assert_is_the_order_without_a_price(program.event(event_id), shop)
    assert set(shop.statuses) == {200} and shop.failed == []


def test_browser_with_a_wrong_key_reads_its_403(shop: Shop, program: Program) -> None:
    shop.start(program.wrong_dsn)
    shop.page.evaluate("() => void Sentry.getClient().on('afterSendEvent', (event, answer) => {"
                       " window.told = answer.statusCode })")  # fmt: skip
    shop.page.evaluate("() => capture(17)")
    shop.page.wait_for_function("() => window.told")
    # A network error would have none: the page was allowed to read the answer.
    assert shop.page.evaluate("() => told") == 403
    assert program.kinds() == set() and set(shop.statuses) == {403}


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_known_stream_of_the_browser_is_on_every_page(
    shop: Shop, program: Program, person: Person, lifecycle: str
) -> None:
    options = {"traceLifecycle": lifecycle, "tracesSampleRate": 1, "enableLogs": True}
    # By default this SDK puts all spans directly below the first.
    options["parentSpanIsAlwaysRootSpan"] = False
    shop.start(program.dsn, **options)
    played = shop.page.evaluate("stream => play(Sentry, stream)", STREAM)
    shop.flush()
    is_streamed = lifecycle == "stream"
    assert_everything_is_found(
        program, person, played, is_streamed=is_streamed, has_check_ins=False
    )
    assert set(shop.statuses) == {200} and shop.failed == []
