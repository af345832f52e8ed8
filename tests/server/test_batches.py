"""Batches: an error of ours costs the batch a 503, and the next requests are answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import API_TOKEN
from tests.server.conftest import with_projects
from tests.server.raw import RawClient
from tests.server.test_requests import EVENT, INGEST
from tests.server_process import Server, serving

REQUEST = f"{INGEST}Content-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT


@pytest.fixture(scope="module")
def fails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says how batches fail."""
    return tmp_path_factory.mktemp("fails") / "how"


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, fails: Path) -> Iterator[Server]:
    data_dir = with_projects(tmp_path_factory.mktemp("batches") / "data")
    environ = {"API_TOKEN": API_TOKEN, "WEB_CONCURRENCY": "1", "FAILS": str(fails)}
    with serving(data_dir, app="tests.server.failing_app:app", **environ) as server:
        yield server


@pytest.mark.parametrize("how", ["error", "thread"])
def test_failed_batch_gets_503_and_the_next_one_is_answered(
    failing: Server, fails: Path, how: str
) -> None:
    fails.write_text(how)
    with RawClient(failing.port) as client:
        client.send(REQUEST)
        answer = client.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert client.is_closed()
    fails.unlink()
    with RawClient(failing.port) as client:
        for _ in range(2):
            client.send(REQUEST)
            answer = client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_request_that_wants_its_connection_closed_gets_that(failing: Server) -> None:
    with RawClient(failing.port) as client:
        client.send(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.is_closed()
