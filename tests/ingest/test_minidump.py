"""Minidumps: the event says what is in the header and in the form, and the file is kept."""

from __future__ import annotations

import json
import struct
import uuid
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.events.queries import find_event
from app.events.tables import envelopes
from app.ingest.minidump import MAX_PARTS
from app.protocol.envelope import parse_envelope
from app.protocol.minidump import MAX_MODULES, Minidump, read_minidump
from app.protocol.packing import unpack
from tests.conftest import parts_of
from tests.ingest.test_door import Count

pytestmark = pytest.mark.one_database

PATH = "/api/42/minidump/?sentry_key=a1b2c3d4e5f60718293a4b5c6d7e8f90"
MODULES = ["C:\\Shop\\shop.exe", "/usr/lib/libc.so.6"]


def minidump(code: int = 0xC0000005, modules: list[str] | None = None, count: int = -1) -> bytes:
    """Return a minidump with two streams."""
    modules = MODULES if modules is None else modules
    names = [name.encode("utf-16-le") for name in modules]
    exception = struct.pack("<8xI148x", code)
    start = 32 + 24 + len(exception)
    at, rows, texts = start + 4 + 108 * len(names), b"", b""
    for name in names:
        rows += struct.pack("<20xI84x", at + len(texts))
        texts += struct.pack("<I", len(name)) + name + b"\0\0"
    listed = struct.pack("<I", len(names) if count < 0 else count) + rows
    header = struct.pack("<4sIII16x", b"MDMP", 0xA793, 2, 32)
    directory = struct.pack("<IIIIII", 6, 168, 56, 4, len(listed), start)
    return header + directory + exception + listed + texts


def send(client: FlaskClient, dump: bytes, **fields: Any) -> Any:
    form = {"upload_file_minidump": (BytesIO(dump), "crash.dmp"), **fields}
    return client.post(PATH, data=form, content_type="multipart/form-data")


def stored_envelope(app: Flask) -> Any:
    with parts_of(app).store.read() as conn:
        return parse_envelope(unpack(conn.scalar(select(envelopes.c.body))))


def test_crash_is_an_event_with_the_file_and_what_the_form_says(
    app: Flask, client: FlaskClient
) -> None:
    dump = minidump()
    answer = send(
        client,
        dump,
        sentry=json.dumps({"release": "shop@1.2", "tags": {"shop": "books"}}),
        **{"sentry[environment]": "live", "sentry[tags][till]": "3", "ptime": "77"},
        log=(BytesIO(b"started\n"), "shop.log"),
    )
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    event_id = uuid.UUID(answer.text).hex
    with parts_of(app).store.read() as conn:
        found = find_event(conn, event_id)
    event = found.event
    assert event.title == "Minidump: 0xc0000005 in shop.exe"
    assert (event.level, event.platform) == ("fatal", "native")
    assert (event.release, event.environment) == ("shop@1.2", "live")
    assert event.tags["shop"] == "books" and event.tags["till"] == "3"
    _, kept, log = stored_envelope(app).items
    assert kept.payload == dump and log.payload == b"started\n"
    assert kept.headers["attachment_type"] == "event.minidump"
    payload = stored_envelope(app).items[0].payload
    assert payload["extra"]["ptime"] == "77"
    assert payload["contexts"]["minidump"]["modules"] == ["shop.exe", "libc.so.6"]


def test_minidump_may_be_the_whole_body_and_a_form_may_be_in_pieces(
    app: Flask, client: FlaskClient, stored: Count
) -> None:
    answer = client.post(PATH, data=minidump(), content_type="application/octet-stream")
    assert answer.status_code == 200
    pieces = {"sentry__2": 'shop@3"}', "sentry__1": '{"release": "', "7": "no piece"}
    event_id = uuid.UUID(send(client, minidump(code=11), **pieces).text).hex
    with parts_of(app).store.read() as conn:
        event = find_event(conn, event_id).event
    assert (event.release, event.title) == ("shop@3", "Minidump: 0x0000000b in shop.exe")
    assert stored() == (2, 2)


@pytest.mark.parametrize(
    ("dump", "fields", "detail"),
    [
        (b"GIF89a", {}, "begins with MDMP"),
        (b"", {}, "begins with MDMP"),
        (minidump(), {"sentry": "[1]"}, "sentry: a JSON object"),
        (minidump(), {"sentry": "{"}, "JSON"),
    ],
)
def test_what_is_none_is_refused_with_the_field(
    client: FlaskClient, stored: Count, dump: bytes, fields: dict[str, Any], detail: str
) -> None:
    answer = send(client, dump, **fields)
    assert answer.status_code == 400 and detail in str(answer.json)
    assert stored() == (0, 0)


def test_other_bodies_and_wrong_keys_are_refused(client: FlaskClient, stored: Count) -> None:
    for body, kind in (
        (b"{}", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
    ):
        answer = client.post(PATH, data=body, content_type=kind)
        assert answer.status_code == 400, answer.text
    many = {f"field{number}": "x" for number in range(200)}
    assert send(client, minidump(), **many).status_code == 413
    assert client.post("/api/42/minidump/", data=minidump()).status_code == 401
    assert client.post(f"{PATH[:-1]}f", data=minidump()).status_code == 403
    assert stored() == (0, 0)


def test_lying_header_reads_nothing_outside_and_not_without_end() -> None:
    assert read_minidump(minidump(count=2**32 - 1, modules=["a"])).modules[0] == "a"
    assert len(read_minidump(minidump(modules=["a"] * 300)).modules) == MAX_MODULES
    assert read_minidump(minidump()[:60]) == Minidump(None, [])


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_read_or_left_out(tail: bytes) -> None:
    found = read_minidump(b"MDMP" + tail)
    assert found is None or len(found.modules) <= MAX_MODULES


def test_files_of_one_name_are_all_kept_and_too_many_are_413(
    app: Flask, client: FlaskClient
) -> None:
    logs = [(BytesIO(f"log {number}".encode()), "shop.log") for number in range(MAX_PARTS)]
    assert send(client, minidump(), log=logs).status_code == 413
    logs = [(BytesIO(f"log {number}".encode()), "shop.log") for number in range(MAX_PARTS - 1)]
    assert send(client, minidump(), log=logs).status_code == 200
    _, _, *kept = stored_envelope(app).items
    assert [item.payload for item in kept] == [f"log {n}".encode() for n in range(MAX_PARTS - 1)]


@pytest.mark.parametrize("junk", [7, "x", [], {"values": [None]}])
def test_exception_of_the_form_that_is_none_is_replaced(
    app: Flask, client: FlaskClient, junk: object
) -> None:
    assert send(client, minidump(), sentry=json.dumps({"exception": junk})).status_code == 200
    event = stored_envelope(app).items[0].payload
    assert event["exception"]["values"][0]["type"] == "Minidump"
