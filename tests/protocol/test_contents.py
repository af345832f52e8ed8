"""What is in an envelope, in words: recorded requests, made-up items of each type, and nonsense."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.protocol.contents import MAX_WORDS, NAMES, UNKNOWN, Content, read_contents
from app.protocol.envelope import Envelope, EnvelopeError, Item, dump_json, serialize_envelope
from tests.ingest.test_minidump import minidump
from tests.protocol.corpus import ENTRIES, inflated

RECORDED = [entry for entry in ENTRIES if entry["kind"] == "envelope"]
REPLAY = {
    "replay_id": "5d41402abc4b2a76b9719d911017c592",
    "segment_id": 3,
    "replay_type": "session",
    "error_ids": ["a" * 32],
    "urls": ["https://shop.example/cart", "https://shop.example/pay"],
}
PROFILE = {
    "platform": "python",
    "transaction": {"name": "checkout", "trace_id": "c" * 32},
    "profile": {"samples": [{}, {}, {}]},
}
NETWORK_ERROR = {
    "type": "network-error",
    "url": "https://shop.example/pay",
    "body": {"type": "dns.name_not_resolved", "status_code": 0},
}


def unreal_report(*names: str, marker: bytes = b"CR1") -> bytes:
    def text(value: str) -> bytes:
        padded = value.encode() + b"\0\0"
        return struct.pack("<I", len(padded)) + padded

    head = marker + text("UE-shop") + text("UE-shop.uecrash") + struct.pack("<ii", 99, len(names))
    files = (struct.pack("<i", n) + text(name) + struct.pack("<i", 4) + b"\1\2\3\4"
             for n, name in enumerate(names))  # fmt: skip
    return zlib.compress(head + b"".join(files))


def contents(*items: Item) -> list[Content]:
    return list(read_contents(serialize_envelope(Envelope({}, list(items)))))


def entries(*given: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(given)}


# Type, headers, payload, and what has to be said of it.
ITEMS: list[tuple[str, dict[str, Any], Any, str]] = [
    ("event", {}, {"exception": {"values": [{"type": "KeyError", "value": "'x'"}]},
                   "level": "fatal"}, "KeyError: 'x' · fatal"),
    ("event", {}, {"logentry": {"message": "closed %s"}}, "closed %s"),
    ("transaction", {}, {"transaction": "checkout", "contexts": {"trace": {"op": "task"}},
                         "start_timestamp": 100, "timestamp": 100.25, "spans": [{}, {}]},
     "checkout · task · 250 ms · 2 spans"),
    ("attachment", {"filename": "a b.txt"}, b"x", "a b.txt"),
    ("attachment", {"filename": "crash.dmp", "attachment_type": "event.minidump"}, minidump(),
     "crash.dmp · minidump · exception 0xc0000005 · shop.exe, libc.so.6"),
    ("attachment", {"filename": "view.json", "attachment_type": "event.view_hierarchy"}, b"{}",
     "view.json · view hierarchy"),
    ("session", {}, {"status": "crashed", "errors": 1, "attrs": {"release": "shop@1"}},
     "crashed · shop@1 · 1 error"),
    ("sessions", {}, {"aggregates": [{"exited": 3}, {"exited": 2, "crashed": 1}],
                      "attrs": {"release": "shop@1"}}, "5 exited · 1 crashed · shop@1"),
    ("check_in", {}, {"monitor_slug": "nightly", "status": "in_progress"}, "nightly · in progress"),
    ("feedback", {}, {"contexts": {"feedback": {"message": "too loud", "name": "Ann"}}},
     "too loud · from Ann"),
    ("user_report", {}, {"comments": "too loud", "email": "ann@shop.example"},
     "too loud · from ann@shop.example"),
    ("client_report", {}, {"discarded_events": [
        {"reason": "queue_overflow", "category": "error", "quantity": 1200}]},
     "1,200 × error left out by the SDK: queue_overflow"),
    ("log", {}, entries({"body": "order paid"}, {"body": "bye"}), "2 lines · “order paid”"),
    ("otel_log", {}, b"{}", ""),
    ("span", {}, entries({"name": "SELECT", "attributes": {
        "sentry.segment.name": {"value": "checkout"}}}), "1 span · checkout"),
    ("span", {}, {"span_id": "a" * 16, "description": "GET /"}, "1 span · GET /"),
    ("otel_span", {}, b"{}", ""),
    ("trace_metric", {}, entries({"name": "tills"}, {"name": "tills"}, {"name": "queue"}),
     "3 values · tills, queue"),
    ("statsd", {}, b"tills:3|c\nqueue@ms:4|g\n", "2 values · tills, queue@ms"),
    ("metric_buckets", {}, dump_json([{"name": "c:tills@none"}]), "1 value · c:tills@none"),
    ("profile", {}, PROFILE, f"checkout · python · 3 samples · trace {'c' * 32}"),
    ("profile", {}, b'{"transaction_name": "MainActivity", "platform": "android"}\n*version\x00',
     "MainActivity · android"),
    ("profile_chunk", {"platform": "node"}, {"profiler_id": "d" * 32},
     f"node · profiler {'d' * 32}"),
    ("replay_event", {}, dump_json(REPLAY),
     f"segment 3 · replay {REPLAY['replay_id']} · session · 1 error"
     " · https://shop.example/cart, https://shop.example/pay"),
    ("replay_recording", {}, b'{"segment_id":3}\n' + zlib.compress(b"[]"),
     "segment 3 · 10 bytes of it, compressed"),
    ("replay_video", {}, b"\x83\xacreplay_event\xc4\x12" + dump_json({"segment_id": 3}) + b"\xac\0",
     "segment 3"),
    ("nel", {}, dump_json(NETWORK_ERROR), "dns.name_not_resolved · https://shop.example/pay"),
    ("raw_security", {}, b'{"csp-report": {"violated-directive": "img-src"}}', "img-src"),
    ("security", {}, b'{"csp": {"effective_directive": "img-src"}}', "img-src"),
    ("unreal_report", {}, unreal_report("CrashContext.runtime-xml", "UE4.dmp"),
     "2 files · CrashContext.runtime-xml, UE4.dmp"),
    ("unreal_report", {}, unreal_report("UE4.log", marker=b""), "1 file · UE4.log"),
    ("unreal_report", {}, b"no zlib", "its files cannot be read"),
    ("form_data", {}, b"[]", ""),
    ("never_heard_of", {}, b"?", UNKNOWN),
]  # fmt: skip


def test_every_type_that_has_a_name_is_in_the_table() -> None:
    assert {kind for kind, *_ in ITEMS} - {"never_heard_of"} == set(NAMES)


@pytest.mark.parametrize(("kind", "headers", "payload", "words"), ITEMS)
def test_item_says_what_is_in_it(
    kind: str, headers: dict[str, Any], payload: Any, words: str
) -> None:
    given = {"type": kind, "content_type": "application/x-made-up", **headers}
    [content] = contents(Item(given, payload))
    size = len(payload if isinstance(payload, bytes) else dump_json(payload))
    name = NAMES.get(kind, kind)
    assert content == Content(kind, name, words, "application/x-made-up", size)


@pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
def test_recorded_request_is_listed_item_by_item(entry: dict[str, Any]) -> None:
    found, told = list(read_contents(inflated(entry))), entry["items"]
    assert [(one.type, one.size_bytes) for one in found] == [
        (item["type"], item["payload_bytes"]) for item in told
    ]
    for content, item in zip(found, told, strict=True):
        assert content.content_type == item["content_type"] and content.words
        assert item["filename"] is None or item["filename"] in content.words
    expected = entry["expected"]
    of_main = next(one.words for one in found if one.type == expected["item"])
    if raised := (expected.get("exception") or {}).get("type"):
        assert raised in of_main
    for name in "monitor_slug", "transaction":
        if expected["item"] in ("check_in", "transaction") and expected.get(name):
            assert expected[name] in of_main


def test_long_texts_are_cut_and_large_json_is_not_read() -> None:
    long, large = contents(
        Item({"type": "event"}, {"message": "x " * 5000}),
        Item({"type": "event"}, {"message": "x" * 5_000_000}),
    )
    assert long.words.endswith("…") and len(long.words) == MAX_WORDS + 1
    assert large.words == "" and large.size_bytes > 5_000_000


def test_items_before_the_damage_are_listed() -> None:
    body = b'{}\n{"type":"session"}\n{"status":"ok"}\n{"type":"event","length":99}\n{}'
    reading = read_contents(body)
    assert next(reading).words == "ok"
    with pytest.raises(EnvelopeError):
        next(reading)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from("exception values type value items attributes segment_id spans attrs "
                        "aggregates exited timestamp start_timestamp contexts trace csp".split()),
        inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(NAMES)), value=ANY_JSON, tail=st.binary(max_size=40))
def test_nonsense_is_listed_without_an_error(kind: str, value: Any, tail: bytes) -> None:
    odd = {"filename": value, "attachment_type": value, "content_type": value, "platform": value}
    text = json.dumps(value).encode()
    payloads = [text, tail, text + b"\n" + tail, b"MDMP" + tail, zlib.compress(b"CR1" + tail)]
    found = contents(*(Item({"type": kind, **odd}, payload) for payload in payloads))
    assert [one.size_bytes for one in found] == [len(payload) for payload in payloads]
