"""Fifty bombs at once: refused, without memory, while other clients are served."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli
import pytest
import zstandard

from app.store import Store
from tests.conftest import API_TOKEN
from tests.ingest.conftest import add_projects
from tests.server_process import Server, serving

HEAD = (
    "POST /api/42/envelope/?sentry_key=a1b2c3d4e5f60718293a4b5c6d7e8f90 HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
)
EVENT = b'{}\n{"type":"event"}\n{"message":"it broke"}'
NESTED = b'{}\n{"type":"event"}\n{"extra":' + b"[" * 15 * 1024**2
MAX_GROWTH_BYTES = 64 * 1024**2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    store = Store(f"sqlite:///{data_dir / 'devenviro.sqlite3'}")
    store.open()
    add_projects(store)
    store.dispose()
    with serving(data_dir, API_TOKEN=API_TOKEN) as server:
        yield server


def status_of(connection: socket.socket) -> int:
    with connection.makefile("rb") as file:
        return int(file.readline().split()[1])


def send(port: int, body: bytes, encoding: str = "identity") -> int:
    head = f"{HEAD}Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        return status_of(connection)


def send_headers_without_end(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        # The server answers and hangs up long before all of them are sent.
        with contextlib.suppress(OSError):
            connection.sendall(HEAD.encode() + b"X-More: yes\r\n" * 100_000)
        with contextlib.suppress(OSError, IndexError):
            return status_of(connection)
        return 0


def memory(server: Server) -> int:
    return sum(worker.memory_info().rss for worker in server.workers())


def test_fifty_bombs_at_once_are_refused_without_memory(server: Server) -> None:
    zeros = bytes(200 * 1024**2)
    jobs: list[Callable[[], int]] = [
        lambda body=body, encoding=encoding: send(server.port, body, encoding)
        for encoding, body in {
            "gzip": gzip.compress(zeros, 6),
            "br": brotli.compress(zeros, quality=3),
            "zstd": zstandard.compress(zeros),
            "identity": NESTED,
        }.items()
        for _ in range(10)
    ]
    del zeros
    jobs += [lambda: send_headers_without_end(server.port)] * 10
    for _ in range(100):
        assert send(server.port, EVENT) == 200
    before, peak, done = memory(server), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(job) for job in jobs]
        assert send(server.port, EVENT) == 200
        statuses = [answer.result() for answer in answers]
    done.set()
    watcher.join()
    # 503: fifty times 15 MiB of one client are more than is kept for one.
    assert set(statuses[:40]) <= {400, 413, 503}
    assert 200 not in statuses
    assert peak - before < MAX_GROWTH_BYTES
    assert send(server.port, EVENT) == 200


def test_body_that_ends_before_its_length_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode() + EVENT)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) == 400
    assert server.get("/api/events")["events"] == []


@pytest.mark.parametrize("chunked", [False, True])
def test_client_that_sends_too_much_reads_its_413(server: Server, chunked: bool) -> None:
    piece = bytes(1024**2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {30 * len(piece)}"
        connection.sendall(f"{HEAD}{length}\r\n\r\n".encode())
        for _ in range(30):
            frame = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
            connection.sendall(frame)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        assert status_of(connection) == 413
