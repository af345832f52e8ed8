"""The connection to Sentry: trust, proxies, slow and broken answers, and no key in any cause."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Response

from app.delivery import client
from app.delivery.client import Origin, stamped
from app.delivery.exchanges import Exchanges, Route
from app.delivery.policy import Answer, Failure
from app.protocol.dsn import Dsn
from app.protocol.packing import pack
from tests.mini_sentry import MiniSentry
from tests.stub_server import Answering

BODY = b'{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"session","length":2}\n{}\n'


@contextmanager
def sending_to(dsn: str) -> Iterator[Callable[[], Answer | Failure]]:
    """Send one envelope after the other, as the forwarder does."""
    exchanges, route = Exchanges(), Route(Dsn.of(dsn), "i" * 32)

    def send() -> Answer | Failure:
        exchanges.begin(None, None, route, pack(BODY), Origin())
        while not (results := exchanges.results(60)):
            pass
        assert results[0].result is not None
        return results[0].result

    try:
        yield send
    finally:
        route.close()
        exchanges.close()


def send_to(dsn: str) -> Answer | Failure:
    with sending_to(dsn) as send:
        return send()


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what a test has it say, to one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        talk(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://secretkey@127.0.0.1:{listener.getsockname()[1]}/42"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_one_connection_serves_many_envelopes(mini_sentry: MiniSentry) -> None:
    with sending_to(mini_sentry.dsn) as send:
        results = [send() for _ in range(3)]
    assert [getattr(result, "status", None) for result in results] == [200, 200, 200]


def test_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    closed = threading.Event()

    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        peer.shutdown(socket.SHUT_RDWR)
        closed.set()

    with raw_server(talk) as dsn, sending_to(dsn) as send:
        for _ in range(3):
            assert isinstance(send(), Answer)
            assert closed.wait(10)
            closed.clear()


def test_certificate_of_nobody_is_not_trusted_and_nothing_is_sent(
    certify: Callable[..., Path],
) -> None:
    asked: list[int] = []
    with Answering(certify()) as server:
        server.answers = lambda: asked.append(1) or Response("{}")
        result = send_to(server.dsn)
    assert isinstance(result, Failure) and result.cause.startswith("TLS: ")
    assert asked == []


def test_certificate_for_another_name_is_not_trusted(
    certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify(name="DNS:sentry.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Answering(certificate) as server:
        result = send_to(server.dsn)
    assert isinstance(result, Failure) and result.cause.startswith("TLS: ")


def test_certificate_of_a_named_authority_is_trusted(
    certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Answering(certificate) as server:
        result = send_to(server.dsn)
    assert isinstance(result, Answer) and result.status == 200


def test_proxy_for_http_gets_the_whole_address_and_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    def talk(peer: socket.socket) -> None:
        seen.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with raw_server(talk) as dsn:
        proxy = dsn.replace("secretkey@", "ada:p%40ss@").rpartition("/")[0]
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        result = send_to("http://key@sentry.example.org/42")
    assert isinstance(result, Answer), result
    assert seen[0].startswith(b"POST http://sentry.example.org/api/42/envelope/ HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=" in seen[0]  # ada:p@ss


def test_proxy_for_https_opens_a_tunnel_and_does_not_see_the_key(
    certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify()
    seen: list[bytes] = []

    def talk(peer: socket.socket) -> None:
        seen.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as upstream:
            thread = threading.Thread(target=_copy, args=(upstream, peer), daemon=True)
            thread.start()
            _copy(peer, upstream)

    with Answering(certificate) as server, raw_server(talk) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("https_proxy", proxy.replace("secretkey@", "").rpartition("/")[0])
        monkeypatch.delenv("no_proxy", raising=False)
        result = send_to(server.dsn)
    assert isinstance(result, Answer) and result.status == 200, result
    assert seen[0].startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert b"publickey" not in seen[0]


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_host_of_no_proxy_is_reached_directly(
    mini_sentry: MiniSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert isinstance(send_to(mini_sentry.dsn), Answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"", "the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "HTTP"),
    ],
)
def test_broken_answer_is_a_cause_in_words(answer: bytes, cause: str) -> None:
    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(answer)

    with raw_server(talk) as dsn:
        result = send_to(dsn)
    assert isinstance(result, Failure), result
    assert cause in result.cause and "secretkey" not in result.cause


def test_answer_that_never_comes_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 1)
    over = threading.Event()
    with raw_server(lambda peer: (peer.recv(65536), over.wait(10))) as dsn:  # type: ignore[func-returns-value]
        result = send_to(dsn)
        over.set()
    assert result == Failure("no answer in time")


def test_answer_that_drips_on_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "DEADLINE_S", 1)
    over = threading.Event()

    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
            peer.sendall(bytes([byte]))
            if over.wait(0.05):
                return

    with raw_server(talk) as dsn:
        result = send_to(dsn)
        over.set()
    assert result == Failure("no answer in time")


def test_kept_alive_connection_that_ends_meanwhile_is_no_reason_to_send_twice_unseen() -> None:
    bodies: list[bytes] = []

    def talk(peer: socket.socket) -> None:
        bodies.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        bodies.append(peer.recv(65536))  # Taken, and never answered.

    with raw_server(talk) as dsn, sending_to(dsn) as send:
        assert isinstance(send(), Answer)
        assert send() == Failure("the connection was closed without an answer")
    assert [BODY.partition(b"\n")[2] in _inflated(body) for body in bodies] == [True, True]


def _inflated(request: bytes) -> bytes:
    return gzip.decompress(request.partition(b"\r\n\r\n")[2])


def test_answer_of_many_megabytes_is_read_no_further_than_needed() -> None:
    sent: list[int] = []

    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            sent.append(peer.send(b"x" * 100_000))

    with raw_server(talk) as dsn:
        result = send_to(dsn)
    assert isinstance(result, Answer) and result.status == 400
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize("body", [b"", b"no json\n", b"[1]\n{}", b"\xff\n"])
def test_envelope_without_headers_is_damaged(body: bytes) -> None:
    from app.store import utc_now

    with pytest.raises(ValueError):
        stamped(body, utc_now())
