"""The lines that a project's set-up page shows for clients from npm, run as they stand there."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from app.admin.setup_lines import snippets
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.clients.conftest import BIN, HERE, Program
from tests.clients.test_browser import Quiet
from tests.server_process import wait_for

Run = Callable[..., subprocess.CompletedProcess[str]]


def lines_for(kind: str, program: Program) -> str:
    key = urlsplit(program.dsn).username or ""
    shown = snippets(program.server.url, program.id, key)
    return next(one.lines for one in shown if one.id == kind)


def assert_arrived(program: Program, title: str) -> None:
    wait_for(lambda: [event["title"] for event in program.events()] == [title])


@pytest.mark.usefixtures("needs_npm")
def test_lines_for_node_send_an_event(run_client: Run, program: Program, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    (tmp_path / "app.js").write_text(lines_for("node", program))
    run_client("node", "app.js")
    assert_arrived(program, "Hello from Node")


@pytest.mark.usefixtures("needs_npm")
def test_lines_for_sentry_cli_send_an_event(run_client: Run, program: Program) -> None:
    lines = lines_for("cli", program).replace("sentry-cli", str(BIN / "sentry-cli"), 1)
    run_client("sh", "-c", lines)
    assert_arrived(program, "Hello from sentry-cli")


@pytest.mark.usefixtures("needs_npm")
def test_lines_for_the_browser_send_an_event(program: Program, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    (tmp_path / "app.js").write_text(lines_for("browser", program))
    bundle = ["--bundle", "--outfile=bundle.js", "--log-level=warning"]
    subprocess.run([BIN / "esbuild", "app.js", *bundle], check=True, cwd=tmp_path)
    page = '<!doctype html><link rel="icon" href="data:,"><script src="bundle.js"></script>'
    (tmp_path / "index.html").write_text(page)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site, sync_playwright() as p:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        browser.new_page().goto(f"http://127.0.0.1:{site.server_port}/")
        assert_arrived(program, "Hello from the browser")
        browser.close()
        site.shutdown()
