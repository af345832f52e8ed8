"""A stop: what is being answered is finished, what is half there is ended, nothing new begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import API_TOKEN
from tests.server.conftest import with_projects
from tests.server.raw import RawClient
from tests.server.test_requests import EVENT, INGEST, LIVE
from tests.server_process import Server, serving, wait_for

SLOW = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALVES = {
    "half a head": "GET /health/live HTTP/1.1\r\nHost: loc",
    "half an event": f"{INGEST}Content-Length: 5000\r\n\r\n{{}}",
    "half a chunk": f"{INGEST}Transfer-Encoding: chunked\r\n\r\nfff\r\n{{}}",
}


@pytest.fixture
def stopping(tmp_path: Path) -> Iterator[Server]:
    """A server of one process that the test stops."""
    data_dir = with_projects(tmp_path / "data")
    environ = {"API_TOKEN": API_TOKEN, "WEB_CONCURRENCY": "1", "SLOW_FOLDER": str(tmp_path)}
    with serving(data_dir, app="tests.server.slow_app:app", **environ) as server:
        yield server


def takes_nobody(server: Server) -> bool:
    try:
        RawClient(server.port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # It was connected while the listening socket was closed.
        return False
    return False


def test_request_that_is_being_answered_is_finished_and_nothing_new_begins(
    stopping: Server, tmp_path: Path
) -> None:
    with RawClient(stopping.port) as slow, RawClient(stopping.port) as idle:
        idle.send(LIVE)
        assert idle.answer().status == 200
        slow.send(SLOW)
        wait_for((tmp_path / "begun").exists)
        stopping.process.terminate()
        wait_for(lambda: takes_nobody(stopping))
        assert stopping.process.poll() is None, "it stopped before it had answered"
        (tmp_path / "go on").touch()
        answer = slow.answer()
        assert (answer.status, answer.body) == (200, b"finished")
        assert slow.is_closed()
        assert idle.is_closed()
    assert stopping.process.wait(20) == 0


def test_request_that_arrives_on_an_open_connection_in_time_is_answered(
    stopping: Server, tmp_path: Path
) -> None:
    with RawClient(stopping.port) as slow, RawClient(stopping.port) as client:
        slow.send(SLOW)
        client.send(f"{INGEST}Content-Length: {len(EVENT)}\r\n\r\n")
        wait_for((tmp_path / "begun").exists)
        stopping.process.terminate()
        wait_for(lambda: takes_nobody(stopping))
        client.send(EVENT)
        assert client.answer().status == 200
        (tmp_path / "go on").touch()
        assert slow.answer().status == 200


def test_half_requests_are_ended_in_time_to_store_what_waits(stopping: Server) -> None:
    clients = [RawClient(stopping.port) for _ in HALVES]
    for client, half in zip(clients, HALVES.values(), strict=True):
        client.send(half)
    with RawClient(stopping.port) as last:  # The others are accepted when this one is answered.
        last.send(LIVE)
        assert last.answer().status == 200
    stopping.process.terminate()
    # Not a 4xx, after which SDKs give an event up.
    assert [client.answer().status for client in clients] == [503] * len(HALVES)
    assert stopping.process.wait(20) == 0
    for client in clients:
        client.close()
    assert "SIGKILL" not in stopping.log.read_text()
