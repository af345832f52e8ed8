"""Fixtures: one real gunicorn on a free port and one real Chromium for all browser tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from app.intake import Intake
from app.intake.emergency import EmergencyFolder
from app.projects import OWN_PROJECT_ID
from app.protocol.envelope import Envelope, Item
from app.protocol.scrub import Scrubber
from app.search.indexing import catch_up
from app.store import Store
from config import ROOT
from tests.conftest import ADMIN_PASSWORD

# The shell without windows needs a third less CPU than the whole browser, and shows the same.
CHROMIUM = Path(shutil.which("chromium-headless-shell") or "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
START_TIMEOUT_S = 30


@dataclass
class Server:
    """A running service."""

    url: str
    data_dir: Path

    def insert(
        self,
        payload: dict[str, Any],
        event_id: str | None = None,
        attachments: dict[str, bytes] | None = None,
    ) -> str:
        """Store an event of another program from outside the service, and return its id."""
        event_id = event_id or uuid.uuid4().hex
        store = Store(f"sqlite:///{self.data_dir / 'devenviro.sqlite3'}")
        intake = Intake(store, EmergencyFolder(self.data_dir / "emergency"), Scrubber())
        envelope = Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])
        for name, content in (attachments or {}).items():
            envelope.items.append(Item({"type": "attachment", "filename": name}, content))
        intake.accept(envelope, project_id=OWN_PROJECT_ID, timeout_s=10)
        store.dispose()
        self.make_searchable()
        return event_id

    def make_searchable(self) -> None:
        """Write the search index now, as the service does within seconds."""
        store = Store(f"sqlite:///{self.data_dir / 'devenviro.sqlite3'}")
        catch_up(store)
        store.dispose()


# Both widths and both themes, but not all four pairs: colours do not depend on the width, nor sizes
# on the theme. A look at every page takes seconds.
LOOKS = pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])


@dataclass
class Watched:
    """A page, with all errors and warnings of its console."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a path and return the page."""
        self.page.goto(path)
        return self.page


def faults_of(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds on a page: the rule, and the first element that breaks it."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"]) for rule in found]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the service as ``make run`` starts it."""
    if not CHROMIUM.exists():
        pytest.skip(f"THE BROWSER TESTS DID NOT RUN: there is no {CHROMIUM}")
    data_dir, port = tmp_path_factory.mktemp("served"), _free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "development",
        "DATA_DIR": str(data_dir),
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "API_PORT": str(port),
        "SENTRY_DSN": "",
        "SENTRY_DEBUG": "false",
    }
    with (data_dir / "log").open("w") as log:
        command = [sys.executable, "-m", "gunicorn"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/health", process, data_dir / "log")
            yield Server(f"http://127.0.0.1:{port}", data_dir)
        finally:
            process.terminate()
            process.wait(timeout=15)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the service did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def session_state(server: Server, browser: Browser) -> Any:
    """Return the cookies of one login for all tests, since hashing a password is slow."""
    return log_in(browser, server.url)


def log_in(browser: Browser, url: str) -> Any:
    """Log in with the form, and return the cookies."""
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/admin/login?next=/admin/status")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    assert page.url == f"{url}/admin/status"
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def new_page(
    server: Server, browser: Browser, session_state: Any
) -> Iterator[Callable[..., Watched]]:
    """Open logged-in pages; fail at the end if a console has errors or warnings."""
    opened: list[Watched] = []
    contexts: list[BrowserContext] = []

    def open_page(width: int = 1280, theme: str = "light", **options: Any) -> Watched:
        options = {"viewport": {"width": width, "height": 900}, **options}
        context = browser.new_context(base_url=server.url, storage_state=session_state, **options)
        context.add_cookies([{"name": "theme", "value": theme, "url": server.url}])
        contexts.append(context)
        watched = Watched(context.new_page())
        _watch(watched)
        opened.append(watched)
        return watched

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for watched in opened for complaint in watched.complaints] == []


def _watch(watched: Watched) -> None:
    page, complaints = watched.page, watched.complaints
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"{page.url}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
