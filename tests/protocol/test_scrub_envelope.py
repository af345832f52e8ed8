# ruff: noqa: E501
"""No part of an envelope keeps a secret: headers, items of any kind, files and their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.scrub import FILTERED, Scrubber
from app.protocol.scrubbing.budget import WorkBudget
from app.protocol.scrubbing.envelopes import MAX_TEXT_BYTES, Attachments, scrub_envelope

SECRET = "k7xR2mQ9zPw4"
PAIR = f"password={SECRET}".encode()
HEADERS = {
    "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
    "dsn": "https://0a1b2c3d@errors.example/1",
    "trace": {"trace_id": "83a2f1dff17645b9946a18bba2f47bbc", "public_key": "0a1b2c3d"},
}


def scrubbed(item: Item, attachments: Attachments = "scrub") -> tuple[Envelope, list[Any]]:
    envelope = Envelope(dict(HEADERS), [item])
    return envelope, scrub_envelope(envelope, Scrubber(), attachments=attachments)


ITEMS = [
    Item({"type": "replay_event"}, json.dumps({"urls": [f"/?token={SECRET}"]}).encode()),
    Item({"type": "security"}, json.dumps({"csp-report": {"document-uri": f"/?token={SECRET}"}}).encode()),
    Item({"type": "of_tomorrow"}, json.dumps({"password": SECRET}).encode()),
    Item({"type": "statsd"}, f"requests@none:1|c|#token:{SECRET}".encode()),
    Item({"type": "attachment", "filename": "app.log"}, b"start\n" + PAIR + b"\nend"),
    Item({"type": "attachment", "filename": f"password={SECRET}.png"}, b"\x89PNG\0"),
    Item({"type": "event", "note": f"token={SECRET}"}, {"message": "x"}),
    Item({"type": "event", "content_type": f"text/plain; token={SECRET}"}, {"message": "x"}),
    Item({"type": f"token={SECRET}"}, b"{}"),
    Item({"type": "of_tomorrow"}, b'{"a": "\xff", "password": "' + SECRET.encode() + b'"}'),
    Item({"type": "of_tomorrow"}, b'{"a": "\0", "password": "' + SECRET.encode() + b'"}'),
    Item({"type": "of_tomorrow"}, b'\xef\xbb\xbf{"password": "' + SECRET.encode() + b'"}'),
    Item({"type": "of_tomorrow"}, json.dumps({"password": SECRET}).encode("utf-16")),
    Item({"type": "of_tomorrow"}, b"\0\xff" + PAIR),
    Item({"type": "replay_event"}, b'{"urls": ["/?token=' + SECRET.encode() + b'", "\xe4"]}'),
    Item({"type": "statsd"}, f"requests@none:1|c|#token:{SECRET}".encode() + b",name:\xe4"),
    Item({"type": "profile"}, json.dumps({"tags": {"password": SECRET}}).encode()),
    Item({"type": "profile_chunk"}, json.dumps({"tags": {"password": SECRET}}).encode() + b"\n\0\x9c"),
    Item({"type": "replay_recording"}, b'{"segment_id": 0}\n[{"data": {"token": "' + SECRET.encode() + b'"}}]'),
    Item({"type": "attachment"}, "schl\xfcssel\n".encode("latin-1") + PAIR + b"\x93"),
    Item({"type": "attachment"}, f"contrase\xf1a={SECRET}".encode("latin-1")),
    Item({"type": "attachment"}, "пароль\n".encode() + PAIR + b"\xff"),
    Item({"type": "attachment"}, "\ufeff".encode("utf-16-le") + PAIR.decode().encode("utf-16-le")),
    Item({"type": "attachment"}, "\ufeff".encode("utf-16-be") + PAIR.decode().encode("utf-16-be") + b"\0"),
]  # fmt: skip


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.type)
def test_secret_in_any_part_of_an_envelope_is_filtered(item: Item) -> None:
    envelope, findings = scrubbed(Item(dict(item.headers), item.payload))
    wire = serialize_envelope(envelope)
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert SECRET.encode(encoding) not in wire
    assert any(
        FILTERED.encode(encoding) in wire for encoding in ("utf-8", "utf-16-le", "utf-16-be")
    )
    assert findings and all(finding.path for finding in findings)


def test_secret_in_the_headers_of_an_envelope_is_filtered_and_its_ids_stay() -> None:
    envelope = Envelope({**HEADERS, "x-token": SECRET}, [Item({"type": "event"}, {})])
    scrub_envelope(envelope, Scrubber())
    assert envelope.headers == {**HEADERS, "x-token": FILTERED}


def test_free_text_in_the_protocol_s_own_headers_is_filtered() -> None:
    trace = {**HEADERS["trace"], "transaction": f"/reset?token={SECRET}", "release": "shop@1"}
    sdk = {"name": f"password={SECRET}", "version": "1.0"}
    envelope = Envelope({**HEADERS, "trace": trace, "sdk": sdk}, [Item({"type": "event"}, {})])
    scrub_envelope(envelope, Scrubber())
    assert envelope.headers == {
        **HEADERS,
        "trace": {**trace, "transaction": f"/reset?token={FILTERED}"},
        "sdk": {**sdk, "name": f"password={FILTERED}"},
    }


def test_ids_and_the_public_key_stay_whatever_the_settings_name() -> None:
    own = Scrubber(["public_key", "trace_id", "event_id", "dsn"], ["[0-9a-f]{8}", "event"])
    headers = {**HEADERS, "sent_at": "2026-11-27T10:00:00.000Z"}
    envelope = Envelope(dict(headers), [Item({"type": "event", "length": 2}, {})])
    scrub_envelope(envelope, own)
    assert envelope.headers == headers
    assert envelope.items[0].headers == {"type": "event", "length": 2}


def test_secret_key_of_an_old_dsn_is_filtered() -> None:
    envelope = Envelope({"dsn": f"https://0a1b2c3d:{SECRET}@errors.example/1"})
    scrub_envelope(envelope, Scrubber())
    assert SECRET not in str(envelope.headers)


def test_recording_behind_json_stays_and_its_json_keeps_its_values() -> None:
    recording = b"\n\x78\x9c\0" + PAIR
    head = json.dumps({"segment_id": 0, "url": f"/?token={SECRET}", "n": [1.5, True]}).encode()
    payload = scrubbed(Item({"type": "replay_recording"}, head + recording))[0].items[0].payload
    assert payload.endswith(recording)
    kept = json.loads(payload[: -len(recording)])
    assert kept == {"segment_id": 0, "url": f"/?token={FILTERED}", "n": [1.5, True]}


@pytest.mark.parametrize("kind", ["profile_chunk", "attachment"])
def test_length_of_the_json_before_a_body_is_written_anew(kind: str) -> None:
    head, body = json.dumps({"password": SECRET}).encode(), b"\x00\x01\x02" + PAIR
    item = Item({"type": kind, "meta_length": len(head)}, head + body)
    envelope, _ = scrubbed(item)
    payload, length = envelope.items[0].payload, envelope.items[0].headers["meta_length"]
    assert json.loads(payload[:length]) == {"password": FILTERED}
    assert payload[length:] == body


def test_what_is_no_secret_in_a_text_of_another_encoding_stays_as_its_bytes() -> None:
    for text in (b"\xe4\x93 ", "\ufeffä\r\n".encode("utf-16-le"), "пароль ".encode() + b"\xff"):
        pair = PAIR if text[:2] != b"\xff\xfe" else PAIR.decode().encode("utf-16-le")
        envelope, _ = scrubbed(Item({"type": "attachment"}, text + pair))
        assert envelope.items[0].payload.startswith(text)


CLEAN = [
    b'{ "a": 1.0, "b": "\xff" }', b"", b"\xef\xbb\xbf{}", b'{"segment_id": 0}\n\x78\x9c\0\xff',
    "\ufefföl\n".encode("utf-16"), b"\xff\xfe\xd8", b"\xe4\xf6\xfc", bytes(range(256)), b"[1, 2", b"{}" * 3,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["attachment", "replay_recording", "of_tomorrow", "statsd"])
@pytest.mark.parametrize("payload", CLEAN)
def test_payload_without_a_secret_stays_byte_for_byte(kind: str, payload: bytes) -> None:
    envelope, findings = scrubbed(Item({"type": kind}, payload))
    assert (envelope.items[0].payload, findings) == (payload, [])


@pytest.mark.parametrize(
    "payload", [b"\x89PNG\0" + PAIR, b"\xff\xd8\xff\x01\x02" + PAIR, PAIR.ljust(MAX_TEXT_BYTES + 1)]
)
def test_file_that_is_binary_or_too_large_stays_whole(payload: bytes) -> None:
    envelope, findings = scrubbed(Item({"type": "attachment", "filename": "a"}, payload))
    assert (envelope.items[0].payload, findings) == (payload, [])


def test_files_are_kept_as_they_are_or_not_at_all_where_the_settings_say_so() -> None:
    file = Item({"type": "attachment", "filename": "a"}, PAIR)
    assert scrubbed(file, "keep")[0].items[0].payload == PAIR
    envelope = Envelope({}, [Item({"type": "event"}, {}), file])
    scrub_envelope(envelope, Scrubber(), attachments="off")
    assert envelope.item_types == ["event"]


def test_headers_that_come_again_cost_the_same_and_hide_no_secret_beside_them() -> None:
    scrubber, spent = Scrubber(), []
    for _ in range(2):
        budget = WorkBudget()
        item = Item({"type": "event", "content_type": "application/json"}, {"message": "x"})
        assert scrub_envelope(Envelope(dict(HEADERS), [item]), scrubber, budget=budget) == []
        spent.append(budget.spent)
    assert spent[0] == spent[1] > 0
    again = Item({"type": "event", "content_type": "application/json", "token": SECRET}, {})
    assert scrub_envelope(Envelope(dict(HEADERS), [again]), scrubber)
    assert again.headers["token"] == FILTERED
    known = Item({"type": "event", "content_type": "application/json"}, {})
    scrub_envelope(Envelope(dict(HEADERS), [known]), scrubber, ["application/json"])
    assert known.headers["content_type"] == FILTERED
