"""What HTTP/1.1 promises a client, over a real socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.server.raw import RawClient
from tests.server_process import Server

LIVE = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
INGEST = f"POST /api/42/envelope/?sentry_key={KEY} HTTP/1.1\r\nHost: localhost\r\n"
EVENT = b'{}\n{"type":"event"}\n{"message":"it broke"}'


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient(server.port) as client:
        yield client


def test_requests_sent_ahead_are_answered_in_their_order(client: RawClient) -> None:
    event = INGEST.encode() + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
    client.send(LIVE.encode() + event + LIVE.encode() + event)
    answers = [client.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert ["id" in answer.json() for answer in answers] == [False, True, False, True]


def test_connection_is_used_again(client: RawClient) -> None:
    for _ in range(3):
        client.send(LIVE)
        assert client.answer().headers["connection"] == "keep-alive"


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_chunked_body_is_read_whole(client: RawClient, piece: int) -> None:
    client.send(f"{INGEST}Transfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(EVENT), piece):
        part = EVENT[at : at + piece]
        client.send(b"%x;name=value\r\n%s\r\n" % (len(part), part))
    client.send("0\r\nX-Trailer: yes\r\n\r\n")
    assert "id" in client.answer().json()
    client.send(LIVE)
    assert client.answer().status == 200


def test_body_above_a_mebibyte_is_read_whole(client: RawClient) -> None:
    attachment = bytes(3 * 1024**2)
    item = b'\n{"type":"attachment","length":%d}\n' % len(attachment)
    body = EVENT + item + attachment
    client.send(INGEST.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert client.answer().status == 200


def test_client_that_asks_before_it_sends_is_told_to_go_on(client: RawClient) -> None:
    client.send(f"{INGEST}Content-Length: {len(EVENT)}\r\nExpect: 100-continue\r\n\r\n")
    assert client.line() == b"HTTP/1.1 100 Continue\r\n"
    assert client.line() == b"\r\n"
    client.send(EVENT)
    assert client.answer().status == 200


def test_head_has_the_length_and_no_body(client: RawClient) -> None:
    client.send(LIVE.replace("GET", "HEAD"))
    answer = client.answer("HEAD")
    assert (answer.status, int(answer.headers["content-length"]) > 0) == (200, True)
    client.send(LIVE)
    assert client.answer().body


def test_old_client_gets_its_answer_and_the_end(client: RawClient) -> None:
    client.send("GET /health/live HTTP/1.0\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert client.is_closed()


def test_old_client_may_keep_the_connection(client: RawClient) -> None:
    for _ in range(2):
        client.send("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer().status == 200


def test_client_that_ends_its_side_gets_its_answer(client: RawClient) -> None:
    client.send(LIVE)
    client.end()
    assert client.answer().status == 200
    assert client.is_closed()


def test_body_that_ends_before_its_length_is_400(client: RawClient) -> None:
    client.send(f"{INGEST}Content-Length: 5000\r\n\r\n".encode() + EVENT)
    client.end()
    assert client.answer().status == 400


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: \xb2\r\n",
        "Content-Length:\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "X-Folded: a\r\n b\r\n",
        "X-Nul: a\x00b\r\n",
        "X-Bare: a\rb\r\n",
        "X-Bare: a\nX-More: b\r\n",
    ],
)
def test_request_that_may_be_read_in_two_ways_is_refused(client: RawClient, head: str) -> None:
    smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
    client.send(f"POST /x/y HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{smuggled}".encode("latin-1"))
    assert client.answer().status == 400
    assert client.is_closed()


@pytest.mark.parametrize("ending", ["\n\n", "\r\nX: y\n\n"])
def test_head_whose_lines_end_without_cr_is_refused_at_once(client: RawClient, ending: str) -> None:
    client.send(f"GET /health/live HTTP/1.1{ending}")
    assert client.answer().status == 400


@pytest.mark.parametrize(
    "chunk", ["5\nhello", "g\r\n", "5\r\nhelloX\r\n", "-5\r\n", "5\r\nhello\n"]
)
def test_chunk_that_is_none_is_refused(client: RawClient, chunk: str) -> None:
    client.send(f"{INGEST}Transfer-Encoding: chunked\r\n\r\n{chunk}\r\n0\r\n\r\n{LIVE}")
    assert client.answer().status == 400
    assert client.is_closed()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /" + "a" * 17_000 + " HTTP/1.1\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nX: " + "a" * 9000 + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 101 + "\r\n", 431),
        ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 100_000, 431),
        ("G" * 100_000, 414),
        ("GET / HTTP/1.1\r\nExpect: tea\r\n\r\n", 417),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: tea\r\n\r\n", 501),
    ],
)
def test_head_that_is_too_much_gets_its_answer(client: RawClient, head: str, status: int) -> None:
    client.send(head)
    answer = client.answer()
    assert answer.status == status
    if status in (414, 431):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert client.is_closed()


def test_query_of_a_thousand_characters_fits_into_the_address(client: RawClient) -> None:
    for path in "/api/logs", "/api/events", "/admin/logs":
        query = quote("\N{GRINNING FACE}" * 1000)
        client.send(f"GET {path}?period=quarter&query={query} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.answer().status not in (400, 414, 431)


def test_callers_word_on_script_name_and_scheme_is_not_taken(server: Server) -> None:
    for name in ("SCRIPT_NAME", "Script-Name", "X-Forwarded-Proto", "X-Forwarded-Prefix"):
        with RawClient(server.port) as client:
            client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\n{name}: //evil.example\r\n\r\n")
            assert client.answer().headers["location"] == "/admin/"


def test_idle_connection_is_closed_after_a_while(client: RawClient) -> None:
    client.send(LIVE)
    client.answer()
    started = time.monotonic()
    assert client.is_closed()
    assert time.monotonic() - started > 2  # It waits for another request first.
