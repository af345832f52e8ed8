"""What is kept of bodies has a bound, for one address and in all; beyond it the answer is 503."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator, Sequence

import pytest

from tests.conftest import API_TOKEN
from tests.server.conftest import with_projects
from tests.server.raw import RawClient
from tests.server.test_requests import INGEST
from tests.server.test_slow import LONG_ANSWER, is_served
from tests.server_process import Server, serving, wait_for

# Two of them and the rest are within what a peer may have, three are not.
BODY = b'{}\n{"type":"event"}\n{"message":"%s"}' % (b"long " * 9000)
FIRST = 40_000
ONE_PEER = ["127.0.0.2"] * 3
# No peer has more than its share.
MANY_PEERS = [f"127.0.0.{2 + number // 2}" for number in range(6)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = with_projects(tmp_path_factory.mktemp("room") / "data")
    environ = {"API_TOKEN": API_TOKEN, "WEB_CONCURRENCY": "1"}
    with serving(data_dir, app="tests.server.small_app:app", **environ) as running:
        yield running


def first_answered(clients: Sequence[RawClient]) -> RawClient:
    readable, _, _ = select.select([client.sock for client in clients], [], [], 30)
    return next(client for client in clients if client.sock in readable)


@pytest.mark.parametrize("peers", [ONE_PEER, MANY_PEERS], ids=["one address", "all addresses"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_body_for_which_there_is_no_room_is_answered_503_and_the_others_go_on(
    small: Server, peers: list[str], is_chunked: bool
) -> None:
    head, first, rest = f"{INGEST}Content-Length: {len(BODY)}\r\n\r\n", BODY[:FIRST], BODY[FIRST:]
    if is_chunked:
        head = f"{INGEST}Transfer-Encoding: chunked\r\n\r\n{len(BODY):x}\r\n"
        rest += b"\r\n0\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(small.port, source=peer)) for peer in peers]
        for client in clients:
            client.send(head.encode() + first)
        refused = first_answered(clients)
        answer = refused.answer()
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        others = [client for client in clients if client is not refused]
        if peers is ONE_PEER:
            assert is_served(small.port, "127.0.0.9")
        for client in others:
            client.send(rest)
            assert client.answer().status == 200
    assert is_served(small.port, "127.0.0.2")


def test_client_that_reads_no_answer_is_ended_at_the_deadline_of_answers(small: Server) -> None:
    (worker,) = small.workers()
    with RawClient(small.port, source="127.0.0.8") as client:
        own = client.sock.getsockname()[1]
        client.send(LONG_ANSWER)

        def is_held() -> bool:
            return any(
                connection.raddr and connection.raddr.port == own
                for connection in worker.net_connections("tcp")
            )

        wait_for(is_held)
        wait_for(lambda: not is_held())
        assert is_served(small.port)
