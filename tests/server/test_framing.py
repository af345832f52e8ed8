"""The loop's ends of heads and bodies against gunicorn's parser, which reads them afterwards."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from app.server.connections import Connection
from app.server.framing import ChunkScanner, FramingError
from app.server.limits import Limits, Room

CLIENT = ("127.0.0.1", 4711)
LIMITS = Limits()
CASES = 4000
PIECES = [
    *[b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b",", b"0", b"5", b"a", b"\x00", b"\x7f"],
    *[b"\r\n\r\n", b"\r\n ", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"],
    *[b"0\r\n\r\n", b"5\r\nhello\r\n", b"GET / HTTP/1.1\r\n\r\n", b";x=y", b"-", b"+5", b"0x5"],
]
HEADERS = [
    *[b"Content-Length: 5", b"Content-Length: 05", b"Content-Length: +5", b"Content-Length: 5, 5"],
    *[b"content-length : 5", b"Content-Length: -1", b"Content-Length: 5\x0b", b"Content_Length: 9"],
    *[b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"X: y\r\n z"],
    *[b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked", b"Host: a"],
    *[b"transfer-encoding:\tchunked", b"Expect: 100-continue", b"Connection: close", b"X: y\nZ: a"],
]
CHUNKED = [
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n",
    b"5 ; a\r\nhello\r\n000\r\n\r\n",
    b"A\r\nhellohello\r\n1\r\n!\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloo\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"0\r\nX: y\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
]


def some_stream(chance: random.Random) -> bytes:
    """A few requests in a row, mostly right, with bytes put in or taken out."""
    stream = bytearray()
    for _ in range(chance.randint(1, 3)):
        version = chance.choice([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0"])
        lines = [chance.choice([b"GET", b"POST", b"PUT"]) + b" /p " + version]
        lines += [b"Host: a", *chance.choices(HEADERS, k=chance.randint(0, 2))]
        stream += b"\r\n".join(lines) + b"\r\n\r\n"
        if any(b"hunked" in line for line in lines):
            stream += chance.choice(CHUNKED)
        elif any(b"ength" in line for line in lines):
            stream += b"hello"
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(len(stream) + 1)
        stream[at : at + chance.choice([0, 0, 1, 3])] = chance.choice(PIECES)
    return bytes(stream)


def as_gunicorn_reads(stream: bytes) -> list[tuple[str, str, bytes]]:
    """What gunicorn's own worker would serve of a connection that sends this."""
    parser = RequestParser(CONFIG, iter([stream]), CLIENT)
    served = []
    try:
        for request in parser:
            served.append((request.method, request.uri, request.body.read()))
            if request.body.failed:
                break
    except Exception:
        pass  # It answers and closes.
    return served


def as_the_loop_reads(stream: bytes, chance: random.Random, folder: Path) -> list[Any]:
    """What the loop gives to the threads, and they to the application."""
    mine, other = socket.socketpair()
    room = Room(LIMITS.bytes, None)
    one = Connection(mine, CLIENT, CLIENT, cfg=CONFIG, limits=LIMITS, room=room, folder=str(folder))
    served: list[Any] = []
    try:
        at = 0
        while at < len(stream):
            size = chance.choice([1, 2, 7, 1000])
            one.buffer += stream[at : at + size]
            at += size
            while one.receive():
                if one.error is not None:
                    return served
                one.rewind()
                served.append((one.request.method, one.request.uri, one.request.body.read()))
                if not one.finish_body() or one.request.should_close():
                    return served
                one.next_request()
    except Exception:
        return served  # The application meets a body that is wrong; the connection is closed.
    finally:
        one.close()
        other.close()
        assert room.take(None, LIMITS.bytes), "what was kept of the bodies is counted for ever"
    return served


CONFIG = Config()
CONFIG.set("forwarded_allow_ips", "")


@pytest.mark.parametrize("seed", range(4))
def test_loop_never_sees_a_request_where_gunicorn_sees_none(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    several = as_many = 0
    for _ in range(CASES // 4):
        stream = some_stream(chance)
        theirs, ours = as_gunicorn_reads(stream), as_the_loop_reads(stream, chance, tmp_path)
        # It may refuse what gunicorn takes, and serves nothing that has not come whole.
        assert ours == theirs[: len(ours)], stream
        several += len(ours) > 1
        as_many += len(ours) == len(theirs)
    assert as_many > CASES / 4 * 0.9
    assert several > CASES / 100  # Else the streams are all wrong from their start.


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("body", [CHUNKED[0], CHUNKED[1], CHUNKED[2], CHUNKED[3]])
def test_chunked_body_ends_at_the_same_byte_however_it_arrives(body: bytes, size: int) -> None:
    scanner, stream, taken = ChunkScanner(), body + b"GET / HTTP/1.1\r\n\r\n", 0
    for at in range(0, len(stream), size):
        taken += scanner.feed(stream[at : at + size])
    assert scanner.is_whole
    assert taken == len(body)


@pytest.mark.parametrize("body", CHUNKED[4:])
def test_body_that_is_not_chunked_as_it_should_be_is_refused(body: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkScanner().feed(body)
