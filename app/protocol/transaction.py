"""The transaction: a request, a page load or a job, and how long it took.

Old clients send it as an item of its own, with its spans inside; newer ones stream spans, of which
the *segment* is what a transaction was. A payload that is strange in part is still a request that
happened: it counts, only not for how long it took.

Sources: https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/ and
https://develop.sentry.dev/sdk/telemetry/spans/span-protocol/, 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_name, read_timestamp

# As Sentry calls it.
UNNAMED = "<unlabeled transaction>"
# What Sentry's failure rate takes for no failure; the last one is another name of the one before.
NO_FAILURES = frozenset({"ok", "cancelled", "unknown", "unknown_error"})
# Longer is no request and no page load but a clock that was set, or a laptop that slept.
MAX_MS = 24 * 3600 * 1000.0
_LENGTHS = {"transaction": 200, "release": 250, "environment": 64}


class Timing(NamedTuple):
    """One transaction.

    :param release: empty where the client names none; so is ``environment``.
    :param ms: how long it took; ``None`` where that is not known, or nonsense.
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
    """Return a timing whose names are as long as they are kept, and whose time is plausible."""
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
        yield _of_transaction(payload)
    elif kind == "span" and isinstance(payload, dict):
        for span in read_list(payload.get("items")):
            if isinstance(span, dict) and span.get("is_segment") is True:
                yield _of_segment(span)


def _of_transaction(payload: dict[str, Any]) -> Timing:
    trace = read_dict(read_dict(payload.get("contexts")).get("trace"))
    return make_timing(
        read_name(payload.get("transaction")),
        read_name(payload.get("release")),
        read_name(payload.get("environment")),
        milliseconds(payload.get("start_timestamp"), payload.get("timestamp")),
        is_failure(trace.get("status")),
    )


def _of_segment(span: dict[str, Any]) -> Timing:
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
    """Return how long it was from one moment to another; ``None`` where one of them is none."""
    began, ended = read_timestamp(start), read_timestamp(end)
    return None if began is None or ended is None else (ended - began).total_seconds() * 1000


def is_failure(status: object) -> bool:
    """Tell whether a span or a transaction of this status failed."""
    # Without a status it is unknown how it ended, which is no failure.
    name = status.strip().lower() if isinstance(status, str) else ""
    return bool(name) and name not in NO_FAILURES
