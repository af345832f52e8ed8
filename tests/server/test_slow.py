"""Clients that are slow or silent, many at once: others are served, and each of them is ended."""

from __future__ import annotations

import contextlib
import select
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import API_TOKEN
from tests.server.conftest import with_projects
from tests.server.raw import RawClient
from tests.server.test_requests import EVENT, INGEST, LIVE
from tests.server_process import Server, serving

# More than both the threads of the process and what one address may have in the small server.
MANY = 40
FORM = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
LONG_ANSWER = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30
KINDS = {
    "nothing": "",
    "one byte": "G",
    "half a head": "GET /health/live HTTP/1.1\r\nHost: loc",
    "two bytes of a login": f"POST /admin/login {FORM}Content-Length: 500\r\n\r\nus",
    "two bytes of a feedback": f"POST /feedback/{'a' * 32} {FORM}Content-Length: 500\r\n\r\nna",
    "half an event": f"{INGEST}Content-Length: 5000\r\n\r\n{{}}",
    "half a chunk": f"{INGEST}Transfer-Encoding: chunked\r\n\r\nfff\r\n{{}}",
    "reads no answer": LONG_ANSWER,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process that takes few connections of one address."""
    data_dir = with_projects(tmp_path_factory.mktemp("small") / "data")
    environ = {"WEB_CONCURRENCY": "1", "MAX_CONNECTIONS_PER_PEER": "8"}
    with serving(data_dir, API_TOKEN=API_TOKEN, **environ) as running:
        yield running


def is_served(port: int, source: str = "127.0.0.1") -> bool:
    """Whether another client gets the answers to a probe and to an event."""
    with RawClient(port, source=source) as client:
        client.send(LIVE.encode() + INGEST.encode() + b"Content-Length: %d\r\n\r\n" % len(EVENT))
        client.send(EVENT)
        return [client.answer().status, client.answer().status] == [200, 200]


def many(port: int, sent: str, sources: Callable[[int], str]) -> contextlib.ExitStack:
    """Clients that send this and nothing more."""
    stack = contextlib.ExitStack()
    for number in range(MANY):
        client = stack.enter_context(RawClient(port, source=sources(number)))
        with contextlib.suppress(OSError):
            client.send(sent)
            if sent == LIVE:
                client.answer()
    return stack


@pytest.mark.parametrize("kind", KINDS)
def test_clients_that_send_or_read_no_more_hold_up_nobody(server: Server, kind: str) -> None:
    with many(server.port, KINDS[kind], lambda number: f"127.0.0.{2 + number % 4}"):
        assert is_served(server.port)


@pytest.mark.parametrize("kind", ["nothing", "idle"])
def test_address_with_too_many_connections_loses_those_that_do_nothing(
    small: Server, kind: str
) -> None:
    sent = LIVE if kind == "idle" else ""
    with many(small.port, sent, lambda number: "127.0.0.1"):
        assert is_served(small.port)
        assert is_served(small.port, "127.0.0.2")


def test_other_addresses_are_served_while_one_has_all_its_connections(small: Server) -> None:
    with many(small.port, KINDS["half an event"], lambda number: "127.0.0.1"):
        assert is_served(small.port, "127.0.0.2")


def test_slow_bodies_are_ended_with_408_when_their_address_has_many(small: Server) -> None:
    with contextlib.ExitStack() as stack:
        # An address of its own: connections of the tests before may still be counted for theirs.
        own = "127.0.0.9"
        clients = [stack.enter_context(RawClient(small.port, source=own)) for _ in range(8)]
        for client in clients:
            client.send(KINDS["half an event"])
        # Only as many are ended as give way to others, whichever they are.
        ended, _, _ = select.select([client.sock for client in clients], [], [], 20)
        assert {one.answer().status for one in clients if one.sock in ended} == {408}


def test_head_that_does_not_end_is_ended_with_408(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(KINDS["half a head"])
        assert client.answer().status == 408
        assert client.is_closed()


def test_probe_is_answered_while_every_thread_waits_for_the_store(server: Server) -> None:
    whole = INGEST.encode() + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(
            contextlib.closing(sqlite3.connect(server.data_dir / "devenviro.sqlite3"))
        )
        writer.isolation_level = None
        writer.execute("BEGIN IMMEDIATE")
        waiting = [stack.enter_context(RawClient(server.port)) for _ in range(16)]
        for client in waiting:
            client.send(whole)
        with RawClient(server.port) as probe:
            probe.send(LIVE)
            assert probe.answer().status == 200
        answered, _, _ = select.select([client.sock for client in waiting], [], [], 0)
        assert not answered
        writer.execute("ROLLBACK")
