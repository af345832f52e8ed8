"""A DSN that leads back: recognised, named, and nothing runs in circles."""

from __future__ import annotations

import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.serving import make_server

from app.delivery import destinations
from app.events.tables import envelopes
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.store.recording import recording
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of, deliver_until, forwarding
from tests.server_process import wait_for

KEY = "b" * 32


@contextmanager
def listening(app: Flask) -> Iterator[int]:
    """The application on a real socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def proxied(port: int) -> Iterator[int]:
    """A reverse proxy in front of a port, which passes headers on as proxies do."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            url = f"http://127.0.0.1:{port}{self.path}"
            asked = urllib.request.Request(url, body, dict(self.headers.items()), method="POST")
            try:
                with urllib.request.urlopen(asked) as answer:
                    status, content = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, content = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """A line for every request is of no use to anybody."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def accept(app: Flask, project_id: int, kind: str = "session") -> None:
    envelope = Envelope({}, [Item({"type": kind}, {"sid": "one"})])
    with recording():
        parts_of(app).intake.accept(envelope, project_id=project_id, timeout_s=5)


def point(app: Flask, project_id: int, dsn: str) -> None:
    with parts_of(app).store.write() as conn:
        destinations.set_dsn(conn, project_id, dsn)


def count_of(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        return int(conn.execute(select(func.count()).select_from(envelopes)).scalar_one())


@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_dsn_that_leads_back_here_is_refused_and_named(
    make_app: Callable[..., Flask], through_a_proxy: bool
) -> None:
    app = make_app()
    create_project(parts_of(app).store, "shop", project_id=7, key=KEY)
    with listening(app) as own, proxied(own) as proxy:
        port = proxy if through_a_proxy else own
        point(app, 7, f"http://{KEY}@127.0.0.1:{port}/7")
        accept(app, 7)

        def cause() -> str:
            with parts_of(app).store.read() as conn:
                return parts_of(app).destinations.find(conn, 7).cause or ""

        deliver_until(app, lambda: "leads back to this service" in cause())
    assert count_of(app) == 1
    assert (accounting_of(app)["retry"], accounting_of(app)["balanced"]) == (1, True)


def test_two_instances_that_point_at_each_other_stop_after_one_round(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    one = make_app()
    other = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'other.sqlite3'}")
    for app in (one, other):
        create_project(parts_of(app).store, "shop", project_id=7, key=KEY)
    with listening(one) as port_of_one, listening(other) as port_of_other:
        point(one, 7, f"http://{KEY}@127.0.0.1:{port_of_other}/7")
        point(other, 7, f"http://{KEY}@127.0.0.1:{port_of_one}/7")
        accept(one, 7)
        with forwarding(one), forwarding(other):
            wait_for(lambda: accounting_of(other)["retry"] == 1)
    assert accounting_of(one)["delivered"] == 1
    assert (count_of(one), count_of(other)) == (1, 1)
