"""Answers that come before the body, read by clients that are still sending it."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from flask import Flask, Response
from sqlalchemy import update
from werkzeug.test import EnvironBuilder

from app.ingest.early import head_check
from app.intake.project_bytes import Bytes
from app.intake.store_bound import State, StoreBound
from app.projects import create_project, projects
from app.store import utc_now
from tests.conftest import API_TOKEN, parts_of
from tests.server.raw import RawClient
from tests.server.test_requests import INGEST, KEY, LIVE
from tests.server_process import Server

BODY = b'{"user_id": "' + b"u" * 10 * 1024**2 + b'"}'
JSON = {"Content-Type": "application/json"}
TOKEN = {"Authorization": f"Bearer {API_TOKEN}"}
FAR = {"X-Forwarded-For": "192.0.2.1"}
CASES = [
    ("POST", "/memories", JSON | FAR, 401),
    ("POST", "/memories", JSON | TOKEN, 413),
    ("POST", "/memories", {"Content-Type": "text/plain"} | TOKEN, 413),
    ("PATCH", "/api/issues/1", {"Content-Type": "text/plain"} | TOKEN, 413),
    ("POST", "/api/42/store/", JSON, 401),
    ("POST", "/api/42/envelope/?sentry_key=" + "0" * 32, JSON, 403),
    ("POST", f"/api/41/envelope/?sentry_key={KEY}", JSON, 403),
    ("POST", "/no/such/path", JSON, 404),
    ("PUT", "/memories", JSON, 405),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), CASES)
def test_client_that_sends_ten_megabytes_reads_its_answer(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, BODY, headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.read()
    connection.close()


def test_urllib3_reads_it_too(server: Server) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        url = f"{server.url}/memories"
        assert pool.request("POST", url, body=BODY, headers=JSON | FAR).status == 401


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"x" * 200_000, 415),
        (JSON, b'{"status": "gone"}' + b" " * 60_000, 422),
        (JSON, b'{"status": "gone"}' + b" " * 200_000, 413),
    ],
)
def test_client_that_sends_a_wrong_body_reads_why(
    server: Server, headers: dict[str, str], body: bytes, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PATCH", "/api/issues/1", body, headers | TOKEN)
    answer = connection.getresponse()
    shape: Any = json.loads(answer.read())
    assert (answer.status, shape["status"]) == (status, status)
    connection.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"POST /api/42/envelope/?sentry_key={'0' * 32} HTTP/1.1\r\nHost: localhost\r\n", 403),
        ("POST /api/42/store/ HTTP/1.1\r\nHost: localhost\r\n", 401),
        ("POST /no/such/path HTTP/1.1\r\nHost: localhost\r\n", 404),
        (INGEST.replace(KEY, KEY) + "X-Big: yes\r\n", 413),
    ],
)
@pytest.mark.parametrize("asks", [False, True])
def test_answer_comes_before_the_body(server: Server, head: str, status: int, asks: bool) -> None:
    length = 30 * 1024**2 if status == 413 else 50
    expect = "Expect: 100-continue\r\n" if asks else ""
    with RawClient(server.port) as client:
        client.send(f"{head}{expect}Content-Length: {length}\r\n\r\n")
        assert client.answer().status == status


def test_chunked_body_that_is_too_long_is_refused_while_it_comes(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(
            f"POST /memories HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_TOKEN}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)
        for _ in range(20):
            client.send(piece)
        assert client.answer().status == 413


def answer_to_head(app: Flask, path: str) -> tuple[int, str] | None:
    """Return status and reason that a head alone gets, ``None`` where the body is read."""
    environ = EnvironBuilder(path, method="POST", headers={"Content-Length": "500"}).get_environ()
    verdict = head_check(app)(environ, 0)
    if isinstance(verdict, int):
        return None
    answer = Response.from_app(verdict, environ)
    assert int(answer.headers["Retry-After"]) > 0
    return answer.status_code, answer.headers["X-Sentry-Error"]


def test_project_beyond_its_share_is_answered_429_before_its_body(app: Flask) -> None:
    create_project(parts_of(app).store, "Flood", 42, "a" * 32)
    paths = [f"/api/42/{door}/?sentry_key={'a' * 32}" for door in ("envelope", "store")]
    assert [answer_to_head(app, path) for path in paths] == [None, None]
    now = utc_now()
    taken = {42: Bytes(99, 0, now), 1: Bytes(1, 0, now)}
    for used, status in ((99, 429), (107, 429)):
        be_full(app, State(100, used, taken, now))
        assert [(answer_to_head(app, path) or (0,))[0] for path in paths] == [status, status]
    be_full(app, State(100, 100, {42: Bytes(1, 0, now)}, now))
    assert [(answer_to_head(app, path) or (0,))[0] for path in paths] == [503, 503]


def be_full(app: Flask, state: State) -> None:
    """Have the store be as full as a state says."""
    # Without a limit it measures nothing and goes on with what it knows.
    bound = StoreBound(parts_of(app).store, 0)
    bound._state = state
    parts_of(app).intake.bound = bound


def test_event_of_a_project_over_its_quota_is_answered_429_before_its_body(app: Flask) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Flood", 42, "a" * 32)
    with parts.store.write() as conn:
        conn.execute(update(projects).where(projects.c.id == 42).values(events_per_minute=7))
    parts.keys._known.clear()  # As after a second.
    parts.quotas.shut(42, 7, utc_now() + timedelta(seconds=40))
    assert answer_to_head(app, f"/api/42/store/?sentry_key={'a' * 32}") == (
        429,
        "the project is over its quota",
    )
    # It may be of nothing but sessions, which no quota limits.
    assert answer_to_head(app, f"/api/42/envelope/?sentry_key={'a' * 32}") is None


def test_connection_is_closed_after_an_early_answer(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send("POST /no/such/path HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n")
        assert client.answer().headers["connection"] == "close"
        client.send(LIVE)
        assert client.is_closed()


HERE = {"REMOTE_ADDR": "127.0.0.1"}


@pytest.mark.one_database
def test_long_bodies_are_let_in_where_a_route_takes_them(app: Flask) -> None:
    client, many = app.test_client(), 2 * 1024**2
    line = b'{"content": "order %d is paid", "metadata": {"note": "' + b"x" * 3000 + b'"}}\n'
    export = b"".join(line % number for number in range(many // len(line)))
    memories = [json.loads(one) | {"user_id": "ada"} for one in export.splitlines()[:100]]
    batch = json.dumps({"memories": memories}).encode().ljust(many)
    kinds = {
        "import?user_id=ada": (export, "application/x-ndjson"),
        "batch": (batch, "application/json"),
    }
    for path, (body, kind) in kinds.items():
        environ = EnvironBuilder(
            f"/memories/{path}", method="POST", content_type=kind, environ_base=HERE
        )
        environ.headers["Content-Length"] = str(len(body))
        limit = head_check(app)(environ.get_environ(), 0)
        assert isinstance(limit, int) and limit > len(body)
        answer = client.post(f"/memories/{path}", data=body, content_type=kind)
        assert answer.status_code < 300, answer.text
        if path != "batch":  # Every line was read.
            counts = answer.json["stored"], answer.json["updated"], answer.json["refused"]
            assert sum(counts) == len(export.splitlines())
    head = EnvironBuilder(
        "/memories", method="POST", content_type="application/json", environ_base=HERE
    )
    head.headers["Content-Length"] = str(many)
    refused = head_check(app)(head.get_environ(), 0)
    assert not isinstance(refused, int)
    assert Response.from_app(refused, head.get_environ()).status_code == 413
