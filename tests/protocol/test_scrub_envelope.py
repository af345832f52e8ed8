# ruff: noqa: E501
"""No part of an envelope keeps a secret: headers, items of any kind, files and their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.scrub import FILTERED, Scrubber
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
]  # fmt: skip


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.type)
def test_secret_in_any_part_of_an_envelope_is_filtered(item: Item) -> None:
    envelope, findings = scrubbed(Item(dict(item.headers), item.payload))
    wire = serialize_envelope(envelope)
    assert SECRET.encode() not in wire
    assert FILTERED.encode() in wire
    assert findings and all(finding.path for finding in findings)


def test_secret_in_the_headers_of_an_envelope_is_filtered_and_its_ids_stay() -> None:
    envelope = Envelope({**HEADERS, "x-token": SECRET}, [Item({"type": "event"}, {})])
    scrub_envelope(envelope, Scrubber())
    assert envelope.headers == {**HEADERS, "x-token": FILTERED}


@pytest.mark.parametrize(
    "payload", [b"\x89PNG\0" + PAIR, b"\xff\xfe" + PAIR, PAIR.ljust(MAX_TEXT_BYTES + 1)]
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
