"""Whatever a stranger sends is read, or refused with the documented error; never anything else."""

from __future__ import annotations

import io
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ingest.door import LIMITS
from app.issues.grouping import group
from app.issues.rule_text import MAX_TEXT, RuleTextError, format_rule, parse_rule
from app.protocol.caller import Caller
from app.protocol.client_report import read_losses
from app.protocol.envelope import EnvelopeError, parse_envelope, serialize_envelope
from app.protocol.event import read_event
from app.protocol.inflate import BodyError, inflate, inflate_base64
from app.protocol.rate_limits import parse_rate_limits, parse_retry_after
from app.protocol.scrub import Scrubber
from app.protocol.sdk_name import read_sdk
from tests.ingest.corpus import load
from tests.protocol.corpus import ENTRIES, envelope_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# Time is bounded by the number of examples; a deadline would measure the machine.
bounded = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Names that mean something to a reader, so that strange values come where they are looked at.
NAMES = (
    "event_id message logentry formatted params exception values type value stacktrace frames "
    "function module filename abs_path lineno in_app context_line pre_context vars mechanism "
    "handled threads crashed current breadcrumbs timestamp level tags extra user request headers "
    "url cookies data contexts sdk name version release environment fingerprint checksum culprit "
    "transaction platform modules discarded_events reason category quantity length dsn sent_at "
    "sentry.interfaces.Exception sentry.interfaces.Http sentry.interfaces.User"
).split()
NASTY = [
    "",
    "\x00",
    "\ud800",
    "{{ default }}",
    "{{auto}}",
    "nan",
    "1e400",
    "-0",
    "\u202e",
    "a" * 3000,
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**70, -(10**400), 1.5, float("nan"), float("inf")])
    | st.sampled_from(NASTY)
    | st.text(max_size=12)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)
BODIES = [one.body for one in load() if one.entry["kind"] != "store"]
TYPES = ["event", "transaction", "attachment", "session", "client_report", "check_in", "?"]


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    """Lines as an envelope has them, most of them right."""
    lines = [json.dumps(draw(OBJECTS), default=str).encode()]
    for _ in range(draw(st.integers(0, 3))):
        payload = draw(st.binary(max_size=40) | OBJECTS.map(lambda o: json.dumps(o).encode()))
        length = draw(st.just(len(payload)) | st.integers(-1, 50) | st.sampled_from(["7", None]))
        head = {
            "type": draw(st.sampled_from(TYPES)),
            **({} if length is None else {"length": length}),
        }
        lines += [json.dumps(head).encode(), payload]
    return b"\n".join(lines) + draw(st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A body of a real client with some bytes changed, cut or doubled."""
    body = bytearray(draw(st.sampled_from(BODIES))[:20_000])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        body[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(body)


def take_in(body: bytes) -> None:
    """Do with a body what the door and the intake do before the transaction."""
    try:
        envelope = parse_envelope(bytearray(body), LIMITS)
    except EnvelopeError as error:
        assert str(error)
        return
    scrubber = Scrubber()
    for item in envelope.items:
        if not isinstance(item.payload, bytes):
            item.payload, _ = scrubber.scrub(item.payload)
    read_losses(envelope), read_sdk(envelope, Caller(client="x/1"))
    if item := envelope.event():
        event = read_event(item.payload, event_id="a" * 32, received_at=NOW)
        assert len(group(event).hash) == 64 and event.title
    parse_envelope(serialize_envelope(envelope))


@bounded
@given(st.binary(max_size=400) | envelopes() | damaged())
def test_body_is_taken_in_or_refused(body: bytes) -> None:
    take_in(body)


# What rules begin at, and what makes them think better of it.
PARTS = (
    "token password user= = : => , ' \" [ ] ( ) -- Bearer Basic eyJhbGciOi .ab .cd @ :// https a b "
    "4111111111111111 4111 1111 ABABABABAB xoxb- abcdefgh12 AKIA0123456789ABCDEF KD-1234 customer "
    "-----BEGIN PRIVATE KEY----- \\n %22 \0"
).split(" ")
TEXTS = st.lists(st.sampled_from([*PARTS, " ", "Q" * 60]), max_size=6).map("".join)
PLACES = ["message", "context_line", "post_context", "span_id", "password", "value", "name", "x"]
SCRUBBABLE = st.recursive(
    TEXTS | st.integers(0, 10**19),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(PLACES) | TEXTS, inner, max_size=5)
    ),
    max_leaves=12,
)
SETTINGS: list[dict[str, Any]] = [{}, {"keys": ["customer"], "patterns": [r"KD-\d{4}"]}]
# Of all examples, so that nearly every text has been seen before, wherever it stood then.
EXPERIENCED = [Scrubber(**own) for own in SETTINGS]


@bounded
@given(st.lists(SCRUBBABLE, max_size=3))
def test_scrubber_that_has_seen_much_finds_what_a_new_one_finds(payloads: list[Any]) -> None:
    for experienced, own in zip(EXPERIENCED, SETTINGS, strict=True):
        for payload in [*payloads, *payloads]:
            assert experienced.scrub(payload) == Scrubber(**own).scrub(payload)


def test_events_of_real_clients_are_scrubbed_the_same_when_they_come_again() -> None:
    experienced = Scrubber()
    for entry in [*ENTRIES, *ENTRIES]:
        for item in envelope_of(entry).items:
            if not isinstance(item.payload, bytes):
                assert experienced.scrub(item.payload) == Scrubber().scrub(item.payload)


@bounded
@given(OBJECTS)
def test_payload_is_read_and_grouped_whatever_it_holds(payload: dict[str, Any]) -> None:
    event = read_event(payload, event_id="a" * 32, received_at=NOW)
    rules = [
        parse_rule('tags.a:* message:"*a*" path:*/x/* -> {{ transaction }}', kind="fingerprint"),
        parse_rule("!type:x level:*", kind="ignore"),
    ]
    for grouping in (group(event), group(event, rules)):
        assert len(grouping.hash) == 64 and grouping.reason
    grouping.key.encode()  # What the database gets is text.


ENCODINGS = ["identity", "gzip", "deflate", "br", "zstd", "gzip, br", "x-gzip", "?", "", "GZIP"]
COMPRESSORS = [bytes, zlib.compress, brotli.compress, zstandard.compress]


@bounded
@given(
    st.binary(max_size=200),
    st.sampled_from(COMPRESSORS),
    st.sampled_from(ENCODINGS) | st.text(max_size=8),
    st.integers(0, 40),
)
def test_what_is_inflated_is_bounded_or_refused(
    data: bytes, compress: Any, encoding: str, cut: int
) -> None:
    wire = compress(data)
    try:
        inflated = b"".join(inflate(io.BytesIO(wire[: max(0, len(wire) - cut)]), encoding, 100))
    except BodyError as error:
        assert str(error)
    else:
        assert len(inflated) <= 100


@bounded
@given(st.binary(max_size=100))
def test_base64_is_inflated_or_refused(body: bytes) -> None:
    try:
        assert len(inflate_base64(body, 100)) <= 100
    except BodyError as error:
        assert str(error)


WORDS = st.lists(
    st.sampled_from(
        ["type", "tags.a", "path", "!", ":", "*", "?", '"', "\\", "->", ",", "{{", "}}", " ", "["]
    )
    | st.text(max_size=4),
    max_size=20,
).map("".join)


@bounded
@given(WORDS | st.just("type:" + "*a" * MAX_TEXT), st.sampled_from(["fingerprint", "ignore"]))
def test_rule_is_read_or_refused_at_a_place(text: str, kind: Any) -> None:
    try:
        rule = parse_rule(text, kind=kind)
    except RuleTextError as error:
        assert 0 <= error.position <= max(len(text), MAX_TEXT) and error.expected
    else:
        again = parse_rule(format_rule(rule), kind=kind, name=rule.name)
        assert again == rule


@bounded
@given(st.text(max_size=60) | st.from_regex(r"(\d{1,400}:[a-z;]{0,9}:[a-z]{0,9},?){1,4}"))
def test_limits_are_read_or_left_out(header: str) -> None:
    limits = parse_rate_limits(header, NOW)
    assert all(until >= NOW for until in limits.values())
    until = parse_retry_after(header, NOW)
    assert until is None or until.tzinfo


@pytest.mark.parametrize("depth", [100, 1000, 100_000])
def test_depth_is_no_way_in(depth: int) -> None:
    text = b'{"type":"event"}\n' + b'{"a":' * depth + b"1" + b"}" * depth
    take_in(b"{}\n" + text)
    take_in(b'{"a":' * depth + b"1" + b"}" * depth)
