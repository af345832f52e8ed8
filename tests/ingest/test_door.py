"""The door: who may come in, what is taken, and that nothing is answered 200 that is not kept."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.events.tables import envelopes, events
from app.ingest import body, door
from app.projects import create_project, revoke_key
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack
from app.store import StoreUnavailable
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database
BOTH_WAYS = True

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
OTHER_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
EVENT_ID = "fc6d8c0c43fc4630ad850ee518f1b9d0"
AUTH = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={KEY}, sentry_client=test/1.0"}
PATH = "/api/42/envelope/"
Count = Callable[[], tuple[int, int]]


def event(**members: Any) -> bytes:
    return json.dumps({"message": "it broke", "level": "error", **members}).encode()


def envelope(payload: bytes | None = None, *, kind: str = "event", **headers: Any) -> bytes:
    payload = event() if payload is None else payload
    item = json.dumps({"type": kind, "length": len(payload)}).encode()
    return b"\n".join([json.dumps(headers).encode(), item, payload, b""])


def post(client: FlaskClient, data: bytes, path: str = PATH, **headers: str) -> TestResponse:
    return client.post(path, data=data, headers={**AUTH, **headers})


# ---- who may come in ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{PATH}?sentry_key={KEY}&sentry_version=7", {}),
        (PATH, {"X-Sentry-Auth": f"sentry sentry_key={KEY},sentry_version=7"}),
        (PATH, {"X-Sentry-Auth": f"Sentry  sentry_key = {KEY} , sentry_secret=whatever"}),
        (PATH, {"Authorization": f"Sentry sentry_key={KEY}"}),
        (PATH, {"Authorization": "Basic eDp5", **AUTH}),
        (f"{PATH}?sentry_key={KEY}", AUTH),
        ("/api/42/envelope", AUTH),
        ("/some/where/api/42/envelope", AUTH),
        ("/api/envelope/", AUTH),
    ],
)
def test_key_in_any_of_its_places_opens_the_door(
    client: FlaskClient, stored: Count, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, data=envelope(event_id=EVENT_ID), headers=headers)
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert stored() == (1, 1)


@pytest.mark.parametrize("path", [PATH, "/api/envelope", "/tunnel", "/monitoring", "/x-y"])
def test_dsn_in_the_envelope_opens_the_door(client: FlaskClient, stored: Count, path: str) -> None:
    data = envelope(event_id=EVENT_ID, dsn=f"https://{KEY}:secret@elsewhere.example/base/42")
    answer = client.post(path, data=data)
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert stored() == (1, 1)


@pytest.mark.parametrize(
    ("status", "path", "headers", "dsn"),
    [
        (401, PATH, {}, None),
        (401, PATH, {"Authorization": "Bearer abc"}, None),
        (403, PATH, {"X-Sentry-Auth": "Sentry sentry_key=" + "9" * 32}, None),
        (403, PATH, {"X-Sentry-Auth": "Sentry sentry_key='; drop table --"}, None),
        (403, PATH, {"X-Sentry-Auth": f"Sentry sentry_key={OTHER_KEY}"}, None),
        (403, "/api/43/envelope/", AUTH, None),
        (403, "/api/99999999999999999999/envelope/", AUTH, None),
        (403, f"{PATH}?sentry_key={OTHER_KEY}", AUTH, None),
        (403, f"{PATH}?sentry_key={KEY}&sentry_key={OTHER_KEY}", {}, None),
        (403, PATH, AUTH, f"https://{OTHER_KEY}@host/42"),
        (403, PATH, AUTH, f"https://{KEY}@host/43"),
        (403, PATH, {}, f"https://{OTHER_KEY}@host/43"),
        (400, PATH, AUTH, "no dsn"),
        (400, PATH, AUTH, 42),
        (403, "/tunnel/", {}, f"https://{'9' * 32}@host/42"),
        (404, "/monitoring", {}, f"https://{'9' * 32}@host/42"),
        (404, "/monitoring", AUTH, None),
        (404, "/monitoring/deeper", {}, f"https://{KEY}@host/42"),
        (405, "/health", {}, f"https://{KEY}@host/42"),
    ],
)
def test_wrong_credentials_are_refused_and_nothing_is_stored(
    client: FlaskClient,
    stored: Count,
    status: int,
    path: str,
    headers: dict[str, str],
    dsn: object,
) -> None:
    data = envelope(**({} if dsn is None else {"dsn": dsn}))
    answer = client.post(path, data=data, headers=headers)
    assert answer.status_code == status
    assert answer.json["detail"]
    if "envelope" in path or path == "/tunnel/":
        assert answer.headers["X-Sentry-Error"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert stored() == (0, 0)


def test_revoked_key_stops_opening_the_door(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.projects.records.KEY_CACHE_S", 0.0)
    assert post(client, envelope()).status_code == 200
    revoke_key(parts_of(app).store, 42, KEY)
    assert post(client, envelope()).status_code == 403


# ---- what is taken ------------------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


ENCODINGS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "made-up": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoding_is_undone(client: FlaskClient, encoding: str) -> None:
    data = ENCODINGS[encoding](envelope(event(message="x" * 300_000), event_id=EVENT_ID))
    assert post(client, data, **{"Content-Encoding": encoding}).json == {"id": EVENT_ID}
    found = client.get(f"/api/events/{EVENT_ID}").json
    assert len(found["message"]) == 300_000


def test_deflate_without_its_wrapper_is_undone(client: FlaskClient) -> None:
    answer = post(client, raw_deflate(envelope()), **{"Content-Encoding": "deflate"})
    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "not it", "trailing"])
def test_damaged_encoding_is_malformed(
    client: FlaskClient, stored: Count, encoding: str, damage: str
) -> None:
    whole = ENCODINGS[encoding](envelope())
    data = {"cut": whole[:-5], "not it": b"plain text", "trailing": whole + b"!!"}[damage]
    assert post(client, data, **{"Content-Encoding": encoding}).status_code == 400
    assert stored() == (0, 0)


@pytest.mark.parametrize("wrap", [bytes, lambda data: base64.b64encode(zlib.compress(data))])
def test_store_takes_json_and_base64_of_zlib(
    client: FlaskClient, wrap: Callable[[bytes], bytes]
) -> None:
    dashed = "FC6D8C0C-43FC-4630-AD85-0EE518F1B9D0"
    answer = post(client, wrap(event(event_id=dashed)), "/api/42/store/")
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert client.get(f"/api/events/{EVENT_ID}").json["message"] == "it broke"


def test_id_of_the_header_wins_over_the_payloads(client: FlaskClient) -> None:
    payload = event(event_id="0" * 31 + "1")
    answer = post(client, envelope(payload, event_id="FC6D8C0C-43FC-4630-AD85-0EE518F1B9D0"))
    assert answer.json == {"id": EVENT_ID}
    assert client.get(f"/api/events/{EVENT_ID}").status_code == 200


def test_event_without_an_id_gets_the_one_that_is_answered(client: FlaskClient) -> None:
    event_id = post(client, envelope(event())).json["id"]
    assert client.get(f"/api/events/{event_id}").json["event_id"] == event_id


def test_what_belongs_to_no_event_is_kept_without_an_id(client: FlaskClient, stored: Count) -> None:
    answer = post(client, envelope(b'{"sid": "1", "status": "ok"}', kind="session"))
    assert (answer.status_code, answer.json) == (200, {})
    assert stored() == (1, 0)


def test_unknown_item_is_kept_as_it_came(app: Flask, client: FlaskClient) -> None:
    assert post(client, envelope(b"\x00\xff\r", kind="from_the_future")).status_code == 200
    with parts_of(app).store.read() as conn:
        row = conn.execute(select(envelopes)).one()
    assert b"\x00\xff\r" in unpack(row.body)


def test_envelope_without_items_is_fine(client: FlaskClient, stored: Count) -> None:
    assert post(client, b"{}").status_code == 200
    assert stored() == (0, 0)


def test_same_event_twice_is_one_row_and_a_count(app: Flask, client: FlaskClient) -> None:
    for _ in range(3):
        assert post(client, envelope(event_id=EVENT_ID)).json == {"id": EVENT_ID}
    with parts_of(app).store.read() as conn:
        assert [row.duplicates for row in conn.execute(select(events))] == [2]
        assert len(conn.execute(select(envelopes.c.id)).all()) == 1


MALFORMED = {
    "nothing": b"",
    "no JSON": b"hello",
    "header is a list": b"[]\n",
    "item header is no JSON": b'{}\n{"type": "event"\n{}',
    "ends before its length": b'{}\n{"type":"event","length":99}\n{}',
    "longer than its length": b'{}\n{"type":"event","length":1}\n{}',
    "negative length": b'{}\n{"type":"event","length":-1}\n{}',
    "payload is no JSON": b'{}\n{"type":"event"}\n{"message":',
    "payload is a list": b'{}\n{"type":"event"}\n[]',
    "payload is missing": b'{}\n{"type":"event"}',
    "two events": b'{}\n{"type":"event"}\n{}\n{"type":"event"}\n{}',
    "event and transaction": b'{}\n{"type":"event"}\n{}\n{"type":"transaction"}\n{}',
    "nested without end": b'{}\n{"type":"event"}\n{"extra":' + b"[" * 100_000,
    "nested deeply": b'{}\n{"type":"event"}\n{"extra":' + b"[" * 200 + b"]" * 200 + b"}",
    "header nested deeply": b'{"a":' + b"[" * 300 + b"]" * 300 + b"}\n",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_envelope_is_refused(client: FlaskClient, stored: Count, case: str) -> None:
    answer = post(client, MALFORMED[case])
    assert answer.status_code == 400
    assert answer.json["detail"] and isinstance(answer.json["causes"], list)
    assert stored() == (0, 0)


@pytest.mark.parametrize("data", [b"", b"[]", b"hello", b"{", b"eJw=", base64.b64encode(b"xx")])
def test_malformed_store_body_is_refused(client: FlaskClient, stored: Count, data: bytes) -> None:
    assert post(client, data, "/api/42/store/").status_code == 400
    assert stored() == (0, 0)


ODD_IDS = ["0" * 32, "00000000-0000-0000-0000-000000000000", "", "42", "not-an-id", 42, None, []]


@pytest.mark.parametrize("odd", ODD_IDS, ids=map(str, ODD_IDS))
def test_errors_without_a_real_id_get_one_each_and_all_are_kept(
    client: FlaskClient, stored: Count, odd: Any
) -> None:
    payloads = [event(message=f"error {n}", event_id=odd) for n in range(3)]
    answers = [post(client, envelope(payloads[0], event_id=odd))]
    answers += [post(client, payload, "/api/42/store/") for payload in payloads[1:]]
    assert [answer.status_code for answer in answers] == [200] * 3
    given = [answer.json["id"] for answer in answers]
    assert len(set(given)) == 3 and stored() == (3, 3)
    for event_id in given:
        assert client.get(f"/api/events/{event_id}?raw=1").json["event_id"] == event_id


@pytest.mark.parametrize("form", ["{{{}}}", "urn:uuid:{}", " {} "])
def test_id_in_another_notation_is_the_same_id(
    client: FlaskClient, stored: Count, form: str
) -> None:
    spelled = form.format("FC6D8C0C-43FC-4630-AD85-0EE518F1B9D0")
    assert post(client, envelope(event_id=spelled)).json == {"id": EVENT_ID}
    assert post(client, envelope(event_id=EVENT_ID)).json == {"id": EVENT_ID}
    assert stored() == (1, 1)


@pytest.mark.parametrize("where", ["envelope header", "item header", "item", "store"])
def test_bytes_that_are_no_utf8_are_kept_as_replacement_characters(
    client: FlaskClient, stored: Count, where: str
) -> None:
    payload = b'{"message":"caf\xe9 \xff\xfe"}' if where in ("item", "store") else event()
    odd = {"envelope header": b'{"x":"B\xfccher"}', "item header": b'{"type":"event","x":"\xfc"}'}
    head, kind = odd.get("envelope header"), odd.get("item header")
    assert head is not None and kind is not None
    head = head if where == "envelope header" else b"{}"
    kind = kind if where == "item header" else b'{"type":"event"}'
    is_store = where == "store"
    answer = post(
        client,
        payload if is_store else b"\n".join([head, kind, payload]),
        "/api/42/store/" if is_store else PATH,
    )
    assert answer.status_code == 200 and stored() == (1, 1)
    found = client.get(f"/api/events/{answer.json['id']}").json
    assert found["title"] == ("caf� ��" if b"caf" in payload else "it broke")


# ---- too much -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_body_too_large_on_the_wire_is_413(
    client: FlaskClient, stored: Count, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(body, "MAX_WIRE_BYTES", 100_000)
    for size, status in ((99_000, 200), (101_000, 413)):
        data = envelope(b"x" * size, kind="attachment")
        environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""} if chunked else {}
        answer = client.post(PATH, data=data, headers=AUTH, environ_overrides=environ)
        assert answer.status_code == status
    assert stored() == (1, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_body_too_large_inflated_is_413(client: FlaskClient, stored: Count, encoding: str) -> None:
    bomb = ENCODINGS[encoding](bytes(body.MAX_INFLATED_BYTES + 1))
    assert len(bomb) < 100_000
    assert post(client, bomb, **{"Content-Encoding": encoding}).status_code == 413
    assert stored() == (0, 0)


def test_base64_of_a_bomb_is_413(client: FlaskClient) -> None:
    bomb = base64.b64encode(zlib.compress(bytes(body.MAX_INFLATED_BYTES + 1)))
    assert post(client, bomb, "/api/42/store/").status_code == 413


def test_more_items_values_or_bytes_of_json_than_allowed_are_413(
    client: FlaskClient, stored: Count
) -> None:
    item = b'{"type":"attachment","length":0}\n\n'
    assert post(client, b"{}\n" + item * (door.LIMITS.items + 1)).status_code == 413
    values = b'{"extra":[' + b"0," * (door.LIMITS.json_values + 1) + b"0]}"
    assert post(client, envelope(values)).status_code == 413
    assert post(client, envelope(event(message="x" * door.LIMITS.json_bytes))).status_code == 413
    assert post(client, b'{"x":"' + b"x" * 70_000 + b'"}\n').status_code == 413
    assert stored() == (0, 0)


def test_profile_of_many_threads_is_kept_with_its_numbers(app: Flask, client: FlaskClient) -> None:
    card = "4111111111111111"  # A thread may have such a number.
    samples = [
        {"stack_id": n % 7, "thread_id": card, "elapsed_since_start_ns": str(n * 10_000_000)}
        for n in range(45_000)
    ]
    frames = [{"function": "pay", "filename": "shop.py", "vars": {"password": "hunter22hunter"}}]
    profile = {"samples": samples, "stacks": [[0]] * 7, "frames": frames}
    payload = {"version": "1", "platform": "python", "profile": profile}
    assert post(client, envelope(json.dumps(payload).encode(), kind="profile")).status_code == 200
    with parts_of(app).store.read() as conn:
        (item,) = parse_envelope(unpack(conn.scalar(select(envelopes.c.body)))).items
    assert item.payload["profile"]["samples"] == samples
    assert item.payload["profile"]["stacks"] == [[0]] * 7
    assert "hunter22hunter" not in json.dumps(item.payload)
    values = b'{"profile":[' + b"0," * (door.LIMITS.profile_values + 1) + b"0]}"
    assert post(client, envelope(values, kind="profile")).status_code == 413


def test_large_attachment_is_kept_whole(app: Flask, client: FlaskClient) -> None:
    large = bytes(range(256)) * 20_000
    assert post(client, envelope(large, kind="attachment")).status_code == 200
    with parts_of(app).store.read() as conn:
        row = conn.execute(select(envelopes)).one()
    assert large in unpack(row.body)


# ---- what is not kept is not answered 200 -------------------------------------------------------


def test_store_that_is_down_is_503(
    app: Flask, client: FlaskClient, stored: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(parts_of(app).store, "write", fail)
        answer = post(client, envelope())
        tunneled = client.post("/monitoring", data=envelope(dsn=f"https://{KEY}@host/42"))
    for one in (answer, tunneled):
        assert (one.status_code, one.headers["Retry-After"]) == (503, "5")
        assert one.headers["Access-Control-Allow-Origin"] == "*"
    assert stored() == (0, 0)


def test_store_that_cannot_be_asked_for_keys_is_503(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(parts_of(app).store, "read", fail)
    assert post(client, envelope()).status_code == 503


def test_own_instance_on_the_way_is_a_loop(app: Flask, client: FlaskClient, stored: Count) -> None:
    own = parts_of(app).store.instance_id()
    answer = post(client, envelope(), **{"X-DevEnviro-Instance": f"{'a' * 32}, {own}"})
    assert answer.status_code == 508
    assert answer.headers["X-Sentry-Error"].startswith(
        "loop detected: the DSN leads back to this service"
    )
    assert stored() == (0, 0)


def test_other_instances_on_the_way_are_kept(app: Flask, client: FlaskClient) -> None:
    answer = post(client, envelope(), **{"X-DevEnviro-Instance": "a" * 32})
    assert answer.status_code == 200
    with parts_of(app).store.read() as conn:
        assert conn.execute(select(envelopes.c.via)).scalar_one() == "a" * 32


# ---- browsers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", PATH, 204),
        ("OPTIONS", "/base/api/42/store", 204),
        ("GET", PATH, 405),
        ("POST", "/api/nonsense/envelope/", 404),
        ("GET", "/api/-1/store/", 404),
    ],
)
def test_every_answer_may_be_read_by_any_page(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method, headers={"Origin": "https://shop.example"})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-sentry-error" in answer.headers["Access-Control-Expose-Headers"]
    if method == "OPTIONS":
        assert "x-sentry-auth" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_reports_are_no_transactions_of_ours(app: Flask, client: FlaskClient) -> None:
    for path in (PATH, "/base/api/42/envelope", "/monitoring"):
        client.post(path, data=envelope(dsn=f"https://{KEY}@host/42"))
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        types = set(conn.execute(select(envelopes.c.item_types)).scalars())
    assert types == {"event"}


def test_event_of_another_project_stays_with_it(app: Flask, client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop", 7, "7" * 32)
    answer = client.post("/api/7/envelope/?sentry_key=" + "7" * 32, data=envelope())
    assert client.get(f"/api/events/{answer.json['id']}").json["project_id"] == 7
