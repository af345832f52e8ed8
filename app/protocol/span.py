"""Spans: the parts of a trace, each with its time, as SDKs send them in three forms.

    transaction     an item with its spans inside; the transaction is a span itself
    span stream     an item with a list of spans; a *segment* takes the place of a transaction
    single span     an item that is one span, of browser SDKs from 2024

Sources: https://develop.sentry.dev/sdk/data-model/event-payloads/span/ and
https://develop.sentry.dev/sdk/telemetry/spans/span-protocol/, 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from app.protocol.ai_call import is_ai_span
from app.protocol.envelope import Envelope
from app.protocol.lenient import (
    clean_text,
    parse_event_id,
    read_dict,
    read_hex,
    read_list,
    read_timestamp,
)
from app.protocol.transaction import (
    MAX_MS,
    Timing,
    is_failure,
    timing_of_segment,
    timing_of_transaction,
)

Kind = Literal["ai", "db", "http", "other"]

# The types of items that have spans.
SPAN_ITEMS = frozenset({"transaction", "span"})
MAX_OP, MAX_STATUS, MAX_DESCRIPTION = 64, 32, 1000
# A larger number is no count of seconds, see `read_timestamp`.
_LARGEST_SECONDS = 1e11
_AI = "gen_ai.operation.name"


class Span(NamedTuple):
    """A span of any form.

    :param span_id: 16 hex digits, ``None`` if they are not valid; the same for ``parent_id``.
    :param op: what kind of work it is, as ``db.sql.query``; empty if it is unknown.
    :param start: seconds since 1970, ``None`` if they are not a time; the same for ``end``.
    :param ms: the duration in milliseconds; ``None`` if it is unknown or not plausible.
    :param failed: whether it ended with a failure.
    :param transaction: the name of the transaction or segment that it belongs to.
    :param event_id: of a transaction; ``None`` for a segment.
    :param is_transaction: whether it is a transaction or a segment.
    :param data: what else the client says, by name; the attributes of a streamed span.
    """

    span_id: str | None
    parent_id: str | None
    op: str
    description: str
    kind: Kind
    start: float | None
    end: float | None
    ms: float | None
    status: str | None
    failed: bool
    transaction: str
    event_id: str | None
    is_transaction: bool
    is_streamed: bool
    data: Mapping[str, Any]


class Transaction(NamedTuple):
    """A transaction or a segment, for a list.

    :param timing: its name, release, environment and duration.
    :param timestamp: when it ended, ``None`` if that is not a time.
    """

    event_id: str | None
    trace_id: str | None
    span_id: str | None
    op: str
    status: str | None
    timestamp: datetime | None
    timing: Timing


def read_spans(envelope: Envelope, trace_id: str) -> Iterator[Span]:
    """Yield the spans of a trace that an envelope has; a transaction comes before its spans."""
    for item in envelope.items:
        if not isinstance(item.payload, dict):
            continue
        if item.type == "transaction" and _trace_of(item.payload) == trace_id:
            yield from _of_transaction(item.payload, _event_id(envelope, item.payload))
        elif item.type == "span":
            read = _streamed if "items" in item.payload else _single
            for span in _spans_of(item.payload):
                if read_hex(span.get("trace_id"), 32) == trace_id:
                    yield read(span)


def read_trace_ids(envelope: Envelope) -> dict[str, None]:
    """Return the ids of the traces that an envelope has spans of, each once."""
    found: dict[str, None] = {}
    for item in envelope.items:
        if not isinstance(item.payload, dict):
            continue
        if item.type == "transaction" and (trace_id := _trace_of(item.payload)):
            found[trace_id] = None
        elif item.type == "span":
            # Nearly always all spans of an item have the same id.
            given = {span.get("trace_id") for span in _spans_of(item.payload) if _has_trace(span)}
            found |= dict.fromkeys(sorted(filter(None, (read_hex(one, 32) for one in given))))
    return found


def read_transactions(envelope: Envelope) -> Iterator[Transaction]:
    """Yield the transactions and segments of an envelope, in order."""
    for item in envelope.items:
        if not isinstance(item.payload, dict):
            continue
        if item.type == "transaction":
            yield _listed_transaction(item.payload, _event_id(envelope, item.payload))
        elif item.type == "span" and "items" in item.payload:
            for span in _spans_of(item.payload):
                if span.get("is_segment") is True:
                    yield _listed_segment(span)


def values_of(span: Span) -> dict[str, Any]:
    """Return what the client says about a span, by name."""
    if not span.is_streamed:
        return dict(span.data)
    return {name: read_dict(value).get("value") for name, value in span.data.items()}


def _spans_of(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spans = read_list(payload["items"]) if "items" in payload else [payload]
    return (span for span in spans if isinstance(span, dict))


def _of_transaction(payload: dict[str, Any], event_id: str | None) -> Iterator[Span]:
    trace, name = _trace(payload), _text(payload.get("transaction"), MAX_DESCRIPTION)
    times = {key: payload.get(key) for key in ("start_timestamp", "timestamp")}
    root = _embedded({**trace, **times, "description": name}, name)
    yield root._replace(event_id=event_id, is_transaction=True)
    for span in read_list(payload.get("spans")):
        if isinstance(span, dict):
            yield _embedded(span, name)


def _single(span: dict[str, Any]) -> Span:
    data = read_dict(span.get("data"))
    name = data.get("sentry.segment.name") or data.get("sentry.transaction")
    return _embedded(span, _text(name, MAX_DESCRIPTION))


def _embedded(span: dict[str, Any], transaction: str) -> Span:
    op, data = _text(span.get("op"), MAX_OP), read_dict(span.get("data"))
    start, end = _seconds(span.get("start_timestamp")), _seconds(span.get("timestamp"))
    status = _text(span.get("status"), MAX_STATUS)
    return Span(
        read_hex(span.get("span_id"), 16),
        read_hex(span.get("parent_span_id"), 16),
        op,
        _text(span.get("description"), MAX_DESCRIPTION),
        _kind(op, data, is_ai_span(op, data)),
        start,
        end,
        _ms(start, end),
        status or None,
        is_failure(status),
        transaction,
        None,
        False,
        False,
        data,
    )


def _streamed(span: dict[str, Any]) -> Span:
    data = read_dict(span.get("attributes"))
    op, name = _attribute(data, "sentry.op", MAX_OP), _text(span.get("name"), MAX_DESCRIPTION)
    start, end = _seconds(span.get("start_timestamp")), _seconds(span.get("end_timestamp"))
    status, is_segment = _text(span.get("status"), MAX_STATUS), span.get("is_segment") is True
    segment = name if is_segment else _attribute(data, "sentry.segment.name", MAX_DESCRIPTION)
    return Span(
        read_hex(span.get("span_id"), 16),
        read_hex(span.get("parent_span_id"), 16),
        op,
        name,
        _kind(op, data, is_ai_span(op, {_AI: read_dict(data.get(_AI)).get("value")})),
        start,
        end,
        _ms(start, end),
        status or None,
        is_failure(status),
        segment,
        None,
        is_segment,
        True,
        data,
    )


def _kind(op: str, data: Mapping[str, Any], is_ai: bool) -> Kind:
    if is_ai:
        return "ai"
    if op.startswith("db") or "db.system" in data or "db.system.name" in data:
        return "db"
    return "http" if op.startswith("http") else "other"


def _listed_transaction(payload: dict[str, Any], event_id: str | None) -> Transaction:
    trace = _trace(payload)
    return Transaction(
        event_id,
        _trace_of(payload),
        read_hex(trace.get("span_id"), 16),
        clean_text(_text(trace.get("op"), MAX_OP)),
        clean_text(_text(trace.get("status"), MAX_STATUS)) or None,
        read_timestamp(payload.get("timestamp")),
        timing_of_transaction(payload),
    )


def _listed_segment(span: dict[str, Any]) -> Transaction:
    data = read_dict(span.get("attributes"))
    return Transaction(
        None,
        read_hex(span.get("trace_id"), 32),
        read_hex(span.get("span_id"), 16),
        clean_text(_attribute(data, "sentry.op", MAX_OP)),
        clean_text(_text(span.get("status"), MAX_STATUS)) or None,
        read_timestamp(span.get("end_timestamp")),
        timing_of_segment(span),
    )


def _trace(payload: dict[str, Any]) -> dict[str, Any]:
    return read_dict(read_dict(payload.get("contexts")).get("trace"))


def _trace_of(payload: dict[str, Any]) -> str | None:
    return read_hex(_trace(payload).get("trace_id"), 32)


def _event_id(envelope: Envelope, payload: dict[str, Any]) -> str | None:
    return parse_event_id(payload.get("event_id")) or parse_event_id(
        envelope.headers.get("event_id")
    )


def _attribute(data: Mapping[str, Any], name: str, length: int) -> str:
    return _text(read_dict(data.get(name)).get("value"), length)


def _has_trace(span: dict[str, Any]) -> bool:
    return isinstance(span.get("trace_id"), str)


def _text(value: object, length: int) -> str:
    return value[:length].strip() if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    if type(value) is float and 0 <= value < _LARGEST_SECONDS:
        return value
    moment = read_timestamp(value)
    return None if moment is None else moment.timestamp()


def _ms(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    # Seconds since 1970 as a float are right to a microsecond, and no more.
    ms = round((end - start) * 1000, 3)
    return ms if 0 <= ms <= MAX_MS else None
