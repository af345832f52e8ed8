"""The envelope: what is taken apart can be put together again."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.envelope import (
    Envelope,
    EnvelopeError,
    Item,
    dump_json,
    parse_envelope,
    serialize_envelope,
)


def json_of(text: st.SearchStrategy[str], floats: st.SearchStrategy[float]) -> st.SearchStrategy:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | text | floats,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=10,
    )


JSON = json_of(st.text(), st.floats(allow_nan=False))
STORABLE = json_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(st.lists(st.binary(), max_size=4))
def test_binary_payloads_survive_the_round_trip(payloads: list[bytes]) -> None:
    items = [Item({"type": "attachment", "filename": "a"}, payload) for payload in payloads]
    read = parse_envelope(serialize_envelope(Envelope({"event_id": "x"}, items)))
    assert [item.payload for item in read.items] == payloads
    assert read.headers == {"event_id": "x"}


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    try:
        parse_envelope(body)
    except EnvelopeError as error:
        assert str(error)


@given(JSON)
def test_json_that_is_written_is_standard_and_storable(value: object) -> None:
    text = dump_json(value)
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "\x00" not in json.dumps(read, ensure_ascii=False)
    json.dumps(read, ensure_ascii=False).encode()  # raises for half a surrogate pair


@given(STORABLE)
def test_json_that_is_written_reads_as_what_it_was(value: object) -> None:
    assert json.loads(dump_json(value)) == value


@pytest.mark.parametrize("depth", [1, 100, 400])
def test_json_of_any_depth_that_is_kept_is_written(depth: int) -> None:
    value: object = "bottom"
    for _ in range(depth):
        value = {"a": [value]}
    assert json.loads(dump_json(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "null"),
        ([math.inf, {"a": -math.inf}], '[null,{"a":null}]'),
        ("a\x00b", r'"a\ufffdb"'),
        ("\ud800", r'"\ufffd"'),
        ("\ud83d\ude00", r'"\ud83d\ude00"'),
        ("\\ud800", r'"\\ud800"'),
        (2**70, str(2**70)),
    ],
)
def test_what_no_reader_takes_is_replaced(value: object, expected: str) -> None:
    assert dump_json(value) == expected.encode()


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"{}", []),
        (b"{}\n", []),
        (b'{}\n{"type":"x"}\n', [b""]),
        (b'{}\n{"type":"x","length":0}\n\n', [b""]),
        (b'{}\n{"type":"x","length":3}\na\nb', [b"a\nb"]),
        (b'{}\n{"type":"x"}\nline\r\n{"type":"y"}\nmore', [b"line\r", b"more"]),
        (b'{}\n\n{"type":"x"}\na\n\n', [b"a"]),
        (b'{}\n{"type":"event"}\n{"a":1}', [{"a": 1}]),
        (b'{}\n{"type":"event"}\nno json', [b"no json"]),
    ],
)
def test_every_form_of_the_grammar_is_read(body: bytes, items: list[object]) -> None:
    assert [item.payload for item in parse_envelope(body).items] == items


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "headers are no JSON"),
        (b"[]", "no JSON object"),
        (b"nonsense\n", "headers are no JSON"),
        (b"[" * 100_000, "headers are no JSON"),
        (b"{}\n[]\nx", "item 1 are no JSON object"),
        (b'{}\n{"length":9}\nabc', "ends 6 bytes before its length"),
        (b'{}\n{"length":1}\nabc', "longer than its length"),
        (b'{}\n{"length":-1}\nabc', "no count of bytes"),
        (b'{}\n{"length":"3"}\nabc', "no count of bytes"),
    ],
)
def test_malformed_envelope_is_refused_with_the_place(body: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        parse_envelope(body)


def test_time_of_sending_is_never_stored() -> None:
    stored = serialize_envelope(Envelope({"sent_at": "2026-01-01T00:00:00Z", "sdk": {}}))
    assert parse_envelope(stored).headers == {"sdk": {}}
