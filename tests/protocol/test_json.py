"""JSON of clients: the fast parser reads it as the standard library does, and refuses the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.envelope import EnvelopeError, Limits, load_json, parse_json
from tests.protocol.corpus import ENTRIES, inflated
from tests.protocol.test_envelope import JSON

ODD = [
    "NaN", "[NaN, Infinity, -Infinity]", "nan", "inf", "-NaN", "Infinit", "-0", "-0.0", "01", "1.",
    ".5", "+1", "1e5", "1E400", "-1e400", "1e-400", "5e-324", "0.30000000000000004", "1.0E+2",
    "123456789.123456789123456789", "9007199254740993.0", "18446744073709551616",
    "-9223372036854775809", "1" * 30, "1" * 4300, "1" * 4301, "-" + "1" * 4301, '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\uD83D\\u0041"', '"\\u0000"', '"\\u12"', '"\\x"',
    '"a\tb"', '"\x01"', '"\x7f"', '"\\/"', '{"a": 1, "b": 2, "a": 3}', '{"": 1}', '{"a": 1,}',
    "[1,]", "[,1]", "[1 2]", "{1: 2}", "{'a': 1}", "", "  ", "{} ", "{}x", "\x0c{}", "\ufeff{}",
    "\u00a01", "// c", "undefined", "tru", "-", "--1", "0x10", "1_000", "{}\n", "\t\n\r1",
    "[" * 150 + "]" * 150, "[" * 250 + "]" * 250, "[" * 100_000, '{"a":' * 9000 + "1" + "}" * 9000,
    '"' + "a" * 70 + '"',
]  # fmt: skip
BYTES = [
    *(text.encode("utf-8", "surrogatepass") for text in ODD),
    *(json.dumps({"a": "ü"}, ensure_ascii=False).encode(name) for name in ("utf-16", "utf-32-le")),
    *(b'{"a": "\xe9"}', b'"\xed\xa0\x80"', b"\xff\xfe", b"1\0", b'\xef\xbb\xbf{"a": "\xe9"}'),
    *(inflated(entry) for entry in ENTRIES),
]


def outcome_of(load: Any, text: bytes) -> str:
    """Return what a parser reads, with types and order, or the type of its error."""
    try:
        return repr(load(text))
    except (ValueError, RecursionError) as error:
        return "RecursionError" if isinstance(error, RecursionError) else "ValueError"


def standard(text: bytes) -> Any:
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        return json.loads(text.decode("utf-8-sig", "replace"))


@pytest.mark.parametrize("text", BYTES, ids=lambda text: str(text[:20]))
def test_odd_json_is_read_as_by_the_standard_library(text: bytes) -> None:
    for part in (text, *text.split(b"\n")):
        assert outcome_of(load_json, part) == outcome_of(standard, part)


@given(JSON, st.booleans())
def test_any_json_is_read_as_by_the_standard_library(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    assert outcome_of(load_json, text) == outcome_of(standard, text)


LIMITS = Limits(
    items=1,
    header_bytes=100,
    json_bytes=10**6,
    json_values=100_000,
    profile_values=100_000,
    depth=128,
)


@pytest.mark.parametrize("around", ["{}", '{"a": [[[]]], "b": "[{[{[{", "c": %s}', "[%s, [[]]]"])
def test_json_is_refused_at_one_level_beyond_the_depth(around: str) -> None:
    levels = 127 if "%s" in around else 128
    nested = "[" * levels + "]" * levels
    deepest = (around % nested if "%s" in around else nested).encode()
    assert parse_json(deepest, LIMITS) == json.loads(deepest)
    with pytest.raises(EnvelopeError, match="deeper than 128"):
        parse_json(deepest.replace(nested.encode(), f"[{nested}]".encode()), LIMITS)
