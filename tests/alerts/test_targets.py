"""Hostile addresses of channels are refused when they are saved and when they are sent to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from flask import Response

from app.alerts.http_sender import HttpSender
from app.alerts.targets import Target, TargetError, Targets, UnknownHost, parse
from tests.receivers import Receiver

pytestmark = pytest.mark.one_database

PUBLIC = "93.184.216.34"
# Where nothing on a network should make this service send to, in every form that some resolver,
# parser or kernel understands.
HOSTILE = {
    "loopback": "http://127.0.0.1/",
    "all of its network": "http://127.8.9.10/",
    "by name": "http://localhost/",
    "by name, with the root's dot": "http://localhost./",
    "in capitals": "HTTP://LOCALHOST/",
    "decimal": "http://2130706433/",
    "hex": "http://0x7f000001/",
    "hex in parts": "http://0x7f.0x0.0x0.0x1/",
    "octal": "http://0177.0.0.1/",
    "octal as one number": "http://017700000001/",
    "two parts": "http://127.1/",
    "three parts": "http://127.0.1/",
    "mixed": "http://127.0.0x1/",
    "decimal that wraps around": "http://4425673729/",
    "padded": "http://127.000.000.001/",
    "with the root's dot": "http://127.0.0.1./",
    "with two dots": "http://127.0.0.1../",
    "this host": "http://0.0.0.0/",
    "this host, short": "http://0/",
    "full-width digits": "http://１２７.０.０.１/",
    "circled digits": "http://①②⑦.⓪.⓪.①/",
    "ideographic full stops": "http://127。0。0。1/",
    "encoded": "http://%31%32%37.0.0.1/",
    "10/8": "http://10.0.0.1/",
    "172.16/12": "https://172.31.255.255/",
    "192.168/16": "http://192.168.1.1/",
    "shared, and Alibaba's metadata": "http://100.100.100.200/",
    "link-local, and metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata, decimal": "http://2852039166/",
    "metadata, octal": "http://0251.0376.0251.0376/",
    "Azure's metadata": "http://168.63.129.16/",
    "Oracle's metadata": "http://192.0.0.192/",
    "Amazon's metadata by IPv6": "http://[fd00:ec2::254]/",
    "documentation": "http://192.0.2.1/",
    "benchmarks": "http://198.18.0.1/",
    "6to4 relays": "http://192.88.99.1/",
    "multicast": "http://224.0.0.1/",
    "reserved": "http://240.0.0.1/",
    "broadcast": "http://255.255.255.255/",
    "IPv6 loopback": "http://[::1]/",
    "IPv6 loopback in full": "http://[0:0:0:0:0:0:0:1]/",
    "IPv6 unspecified": "http://[::]/",
    "IPv6 link-local": "http://[fe80::1]/",
    "IPv6 with a zone": "http://[fe80::1%25eth0]/",
    "IPv6 site-local": "http://[fec0::1]/",
    "IPv6 unique local": "http://[fd12:3456::1]/",
    "IPv6 multicast": "http://[ff02::1]/",
    "IPv6 documentation": "http://[2001:db8::1]/",
    "mapped": "http://[::ffff:127.0.0.1]/",
    "mapped, hex": "http://[::ffff:7f00:1]/",
    "mapped metadata": "http://[::ffff:a9fe:a9fe]/",
    "mapped public": f"http://[::ffff:{PUBLIC}]/",
    "translated": "http://[::ffff:0:127.0.0.1]/",
    "compatible": "http://[::127.0.0.1]/",
    "6to4": "http://[2002:7f00:1::]/",
    "6to4 of a private address": "http://[2002:a00:1::1]/",
    "NAT64": "http://[64:ff9b::127.0.0.1]/",
    "NAT64, local": "http://[64:ff9b:1::a00:1]/",
    "Teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "discard": "http://[100::1]/",
}
MALFORMED = {
    "file": "file:///etc/passwd",
    "gopher": "gopher://example.org:70/_x",
    "ftp": "ftp://example.org/",
    "dict": "dict://example.org:11211/stat",
    "javascript": "javascript:alert(1)",
    "no scheme": "//example.org/",
    "no host": "http:///path",
    "a name only": "example.org",
    "user": "https://user@example.org/",
    "user and password": "https://user:password@example.org/",
    "empty user": "https://@example.org/",
    "a host behind a user": "http://example.org@127.0.0.1/",
    "backslashes": "http://example.org\\@127.0.0.1/",
    "a space": "http://example.org /",
    "a line break": "http://example.org/\r\nX-Injected: 1",
    "a tab in the host": "http://exam\tple.org/",
    "NUL": "http://example.org\x00.evil/",
    "port 22": "http://example.org:22/",
    "port 25": "http://example.org:25/",
    "port 0": "http://example.org:0/",
    "port 1023": "http://example.org:1023/",
    "port 65536": "http://example.org:65536/",
    "a port that is no number": "http://example.org:http/",
    "an open bracket": "http://[::1/",
    "an underscore and a hyphen": "http://-example.org/",
    "an empty label": "http://example..org/",
    "too long": "https://example.org/" + "a" * 2000,
    "a name that is too long": f"https://{'a.' * 130}org/",
    "empty": "",
}
REFUSED = HOSTILE | MALFORMED
FINE = {
    "https://hooks.example.org/services/T0/B0/x?y=1": ("hooks.example.org", 443),
    "http://hooks.example.org./": ("hooks.example.org", 80),
    "https://hooks.example.org:8443/x": ("hooks.example.org", 8443),
    "http://hooks.example.org:80": ("hooks.example.org", 80),
    f"http://{PUBLIC}:1024/": (PUBLIC, 1024),
    "https://[2606:2800:220:1::1946]/": ("2606:2800:220:1::1946", 443),
    "https://xn--bcher-kva.example.org/": ("xn--bcher-kva.example.org", 443),
}


@pytest.mark.parametrize(
    "url", [*HOSTILE.values(), *MALFORMED.values()], ids=[*HOSTILE, *MALFORMED]
)
def test_hostile_target_is_refused_at_saving_and_at_sending_and_not_repeated(url: str) -> None:
    with pytest.raises(TargetError) as caught:
        Targets().check(url)
    assert not url or url not in str(caught.value)
    outcome = HttpSender(Targets()).post(url, b"{}", {})
    # What does not resolve on this machine leads nowhere, but may tomorrow.
    assert not outcome.is_sent and (outcome.is_final or "does not resolve" in outcome.note)


@pytest.mark.parametrize("url", FINE)
def test_ordinary_url_is_read(url: str) -> None:
    target = parse(url)
    assert (target.host, target.port) == FINE[url]
    assert "services" not in repr(target)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "::1", "fd00::1"],
)
def test_private_address_is_allowed_by_the_setting_alone(address: str) -> None:
    target = Target("http", "hook.internal", 80, "/")
    with pytest.raises(TargetError, match="ALERTS_ALLOW_PRIVATE_TARGETS"):
        Targets(resolve=lambda *_: [address]).addresses(target)
    assert Targets(True, resolve=lambda *_: [address]).addresses(target) == [address]


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "0.0.0.0", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
        *("224.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "::"),
        *("::ffff:10.0.0.1", "2002:a00:1::1", "64:ff9b::a00:1", "2001::1", "ff02::1"),
    ],
)
def test_metadata_and_disguised_addresses_are_never_allowed(address: str) -> None:
    target = Target("http", "hook.internal", 80, "/")
    with pytest.raises(TargetError, match="never"):
        Targets(True, resolve=lambda *_: [address]).addresses(target)


def test_one_forbidden_address_among_several_forbids_all() -> None:
    targets = Targets(resolve=lambda *_: [PUBLIC, "10.0.0.1"])
    with pytest.raises(TargetError):
        targets.check("https://hooks.example.org/")


def test_name_that_does_not_resolve_is_refused_in_words() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(UnknownHost, match="does not resolve"):
        Targets(resolve=resolve).check("https://hooks.example.org/")


def test_name_that_changes_its_answer_is_refused_at_sending(receiver: Receiver) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    targets = Targets(resolve=lambda *_: answers.pop(0))
    targets.check(f"http://rebind.example.org:{receiver.port}/")
    outcome = HttpSender(targets).post(f"http://rebind.example.org:{receiver.port}/", b"{}", {})
    assert outcome.is_final and "private address" in outcome.note
    assert receiver.received == []


def test_connection_goes_to_the_address_that_was_checked_and_names_the_host(
    receiver: Receiver,
) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        # A second question would be answered otherwise: nobody asks it.
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    url = f"http://hook.invalid:{receiver.port}/path?query=1"
    outcome = HttpSender(Targets(True, resolve)).post(url, b"{}", {"X-Own": "1"})
    assert outcome.is_sent and asked == ["hook.invalid"]
    [got] = receiver.received
    assert got.headers["host"] == f"hook.invalid:{receiver.port}"
    assert (got.path, got.headers["x-own"], got.body) == ("/path", "1", b"{}")


def test_next_address_is_tried_where_nothing_listens_at_the_first(receiver: Receiver) -> None:
    targets = Targets(True, resolve=lambda *_: ["::1", "127.0.0.1"])
    assert HttpSender(targets).post(f"http://hook.invalid:{receiver.port}/", b"{}", {}).is_sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_no_success(receiver: Receiver, status: int) -> None:
    with Receiver() as other:
        receiver.answer = lambda: Response(status=status, headers={"Location": f"{other.url}/x"})
        outcome = HttpSender(Targets(True)).post(f"{receiver.url}/", b"{}", {})
        assert (outcome.is_sent, outcome.status) == (False, status)
        assert len(receiver.received) == 1 and other.received == []


def test_answer_that_never_ends_its_headers_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_drip, args=(server,), daemon=True).start()
        poster = HttpSender(Targets(True), deadline_s=0.5)
        outcome = poster.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
    assert (outcome.is_sent, outcome.note) == (False, "no answer in time")


def test_status_decides_however_the_rest_of_the_answer_goes() -> None:
    # What was accepted and is sent again would be told twice.
    for answer, is_sent in (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut", True),
        (b"HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\ncut", False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, True),
        (b"HTTP/1.1 200 OK\r\nX-Cut: ", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"I am no HTTP", False),
        (b"", False),
    ):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_say, args=(server, answer), daemon=True).start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            assert HttpSender(Targets(True)).post(url, b"{}", {}).is_sent is is_sent, answer[:30]


def _say(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(65_536)
        connection.sendall(answer)


def _drip(server: socket.socket) -> None:
    """Answer a byte of a header at a time, each well within the timeout of one wait."""
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            connection.sendall(b"y")
            time.sleep(0.02)
