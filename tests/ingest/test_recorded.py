"""Every recorded request of real clients, byte for byte, through the client and a real socket."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.store import Store
from tests.conftest import API_TOKEN
from tests.ingest.conftest import add_projects
from tests.ingest.corpus import Recorded, load
from tests.server_process import serving

pytestmark = pytest.mark.one_database


def send(client: FlaskClient, recorded: Recorded) -> tuple[int, dict[str, str], bytes]:
    headers = [
        (name, value) for name, value in recorded.headers if name.lower() != "transfer-encoding"
    ]
    # As a server hands over what came in chunks: no length, an input that ends by itself.
    chunked = {"wsgi.input_terminated": True} if recorded.was_chunked else {}
    body = (
        {"input_stream": io.BytesIO(recorded.body)}
        if recorded.was_chunked
        else {"data": recorded.body}
    )
    answer = client.post(recorded.path, headers=headers, environ_overrides=chunked, **body)
    return answer.status_code, dict(answer.headers), answer.data


def send_raw(port: int, recorded: Recorded) -> tuple[int, dict[str, str], bytes]:
    lines = [
        f"POST {recorded.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in recorded.headers),
    ]
    body = recorded.body
    if recorded.was_chunked:
        half = len(body) // 2
        parts = [body[:half], body[half:], b""] if half else [body, b""]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        file = connection.makefile("rb")
        status = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, file.read(int(headers["Content-Length"]))


def wrong_answer(recorded: Recorded, answer: tuple[int, dict[str, str], bytes]) -> str | None:
    status, headers, body = answer
    if status != 200 or headers.get("Access-Control-Allow-Origin") != "*":
        return f"{status} {headers} {body!r}"
    event_id = json.loads(body).get("id")
    if recorded.event_id and event_id != recorded.event_id:
        return f"answered the id {event_id}, not {recorded.event_id}"
    return None if event_id or not recorded.has_event else "answered no id"


def wrong_event(recorded: Recorded, event: dict[str, Any]) -> list[str]:
    expected, wrong = recorded.expected, []
    exception = expected.get("exception")
    if exception:
        found = event["exceptions"][-1]
        for field in ("type", "value"):
            if exception.get(field) is not None and found[field] != exception[field]:
                wrong.append(f"{field}: {found[field]!r}, not {exception[field]!r}")
        if len(found["frames"]) != exception["frames"]:
            wrong.append(f"{len(found['frames'])} frames, not {exception['frames']}")
        if found["mechanism"] != exception.get("mechanism"):
            wrong.append(f"mechanism {found['mechanism']!r}")
    for field in ("level", "release", "environment", "platform", "transaction"):
        if isinstance(expected.get(field), str) and event[field] != expected[field]:
            wrong.append(f"{field}: {event[field]!r}, not {expected[field]!r}")
    return wrong


def test_every_recorded_request_is_kept_and_read(app: Flask) -> None:
    client, failures = app.test_client(), {}
    recorded = load()
    assert len(recorded) == 68
    for one in recorded:
        answer = send(client, one)
        problem = wrong_answer(one, answer)
        if problem is None and one.has_event:
            event = client.get(f"/api/events/{json.loads(answer[2])['id']}")
            assert event.status_code == 200, one.name
            problem = "; ".join(wrong_event(one, event.json))
        if problem:
            failures[one.name] = problem
    assert failures == {}


def test_every_recorded_request_is_kept_over_a_real_socket(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    store = Store(f"sqlite:///{data_dir / 'devenviro.sqlite3'}")
    store.open()
    add_projects(store)
    store.dispose()
    failures = {}
    with serving(data_dir, API_TOKEN=API_TOKEN) as server:
        for one in load():
            problem = wrong_answer(one, send_raw(server.port, one))
            if problem:
                failures[one.name] = problem
        assert failures == {}
        kept = {event["event_id"] for event in server.get("/api/events?limit=1000")["events"]}
        assert {one.event_id for one in load() if one.has_event and one.event_id} <= kept
