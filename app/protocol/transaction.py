"""The transaction: a request, a page load or a job, and how long it took.

Old clients send a transaction as a separate item with its spans inside. Newer clients stream spans,
and a *segment* span takes the place of the transaction. A partly invalid payload is still a request
that happened: it is counted, but without its duration.

Sources: https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/ and
https://develop.sentry.dev/sdk/telemetry/spans/span-protocol/, 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_name, read_timestamp

# Sentry's name for a transaction without a name.
UNNAMED = "<unlabeled transaction>"
# Sentry's failure rate does not count these as failures. "unknown_error" is another name of
# "unknown".
NO_FAILURES = frozenset({"ok", "cancelled", "unknown", "unknown_error"})
# A longer time is not a real duration: the clock was changed, or a laptop was asleep.
MAX_MS = 24 * 3600 * 1000.0
MAX_NAME = 200
_LENGTHS = {"transaction": MAX_NAME, "release": 250, "environment": 64}


class Timing(NamedTuple):
    """The timing of a transaction.

    :param release: empty if the client sends none; the same for ``environment``.
    :param ms: the duration in milliseconds; ``None`` if it is unknown or not plausible.
    """

    transaction: str
    release: str
    environment: str
    ms: float | None
    failed: bool


def make_timing(
    transaction: str | None,
    release: str | None,
    environment: str | None,
    ms: float | None,
    failed: bool,
) -> Timing:
    """Return a timing with names cut to their maximum length, and only a plausible duration."""
    return Timing(
        (transaction or UNNAMED)[: _LENGTHS["transaction"]],
        (release or "")[: _LENGTHS["release"]],
        (environment or "")[: _LENGTHS["environment"]],
        ms if ms is not None and 0 <= ms <= MAX_MS else None,
        failed,
    )


def read_timings(envelope: Envelope) -> list[Timing]:
    """Return the transactions in an envelope, in order."""
    return [timing for item in envelope.items for timing in _of_item(item.type, item.payload)]


def _of_item(kind: str, payload: Any) -> Iterator[Timing]:
    if kind == "transaction" and isinstance(payload, dict):
        yield timing_of_transaction(payload)
    elif kind == "span" and isinstance(payload, dict):
        for span in read_list(payload.get("items")):
            if isinstance(span, dict) and span.get("is_segment") is True:
                yield timing_of_segment(span)


def timing_of_transaction(payload: dict[str, Any]) -> Timing:
    """Return the timing of the payload of a transaction."""
    trace = read_dict(read_dict(payload.get("contexts")).get("trace"))
    return make_timing(
        read_name(payload.get("transaction")),
        read_name(payload.get("release")),
        read_name(payload.get("environment")),
        milliseconds(payload.get("start_timestamp"), payload.get("timestamp")),
        is_failure(trace.get("status")),
    )


def timing_of_segment(span: dict[str, Any]) -> Timing:
    """Return the timing of a streamed span that is a segment."""
    attributes = read_dict(span.get("attributes"))
    return make_timing(
        read_name(span.get("name")),
        _attribute(attributes, "sentry.release"),
        _attribute(attributes, "sentry.environment"),
        milliseconds(span.get("start_timestamp"), span.get("end_timestamp")),
        is_failure(span.get("status")),
    )


def _attribute(attributes: dict[str, Any], name: str) -> str | None:
    return read_name(read_dict(attributes.get(name)).get("value"))


def milliseconds(start: object, end: object) -> float | None:
    """Return the time from start to end in milliseconds; ``None`` if one of them is not a time."""
    began, ended = read_timestamp(start), read_timestamp(end)
    return None if began is None or ended is None else (ended - began).total_seconds() * 1000


def is_failure(status: object) -> bool:
    """Return whether a span or a transaction with this status failed."""
    # Without a status it is unknown how it ended, and that is not a failure.
    name = status.strip().lower() if isinstance(status, str) else ""
    return bool(name) and name not in NO_FAILURES
