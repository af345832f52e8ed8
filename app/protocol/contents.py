"""What is in an envelope, item by item, in words for people.

    bytes ── headers, payload ── content_facts.py: what the payload says ── Content

Payloads are read one at a time, and large ones not at all: a list of items needs no memory for a
minidump of 30 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.content_facts import facts_of
from app.protocol.envelope import read_items
from app.protocol.lenient import clean_text, read_text

# A larger payload of JSON is not read for its facts.
MAX_READ_BYTES = 4 * 1024**2
MAX_WORDS = 300
MAX_NAME = 200

# The types of items, as people call them.
# Source: https://develop.sentry.dev/sdk/data-model/envelope-items/, 2026-11-28.
NAMES = {
    "event": "Event",
    "transaction": "Transaction",
    "attachment": "Attachment",
    "session": "Session",
    "sessions": "Sessions",
    "check_in": "Check-in",
    "feedback": "Feedback",
    "user_report": "Feedback",
    "client_report": "Client report",
    "log": "Logs",
    "otel_log": "Logs",
    "span": "Spans",
    "otel_span": "Spans",
    "trace_metric": "Metrics",
    "statsd": "Metrics",
    "metric_buckets": "Metrics",
    "profile": "Profile",
    "profile_chunk": "Part of a profile",
    "replay_event": "Replay",
    "replay_recording": "Recording of a replay",
    "replay_video": "Video of a replay",
    "nel": "Network error",
    "security": "Security report",
    "raw_security": "Security report",
    "unreal_report": "Unreal crash report",
    "form_data": "Fields of a form",
}
UNKNOWN = "of a type that is not known here; it is kept and forwarded as it came"


class Content(NamedTuple):
    """An item of an envelope.

    :param name: what its type is called; the type itself if it is not known.
    :param words: what is in it; empty if nothing more can be said.
    :param content_type: as the client sent it.
    """

    type: str
    name: str
    words: str
    content_type: str | None
    size_bytes: int


def read_contents(body: bytes) -> Iterator[Content]:
    """Yield what is in an envelope.

    :param body: the envelope in wire form.
    :raise EnvelopeError: it is damaged; the items before the damage were yielded.
    """
    for headers, payload in read_items(body):
        kind = clean_text(str(headers.get("type") or "unknown"))[:MAX_NAME]
        content_type = read_text(headers.get("content_type"))
        words = _words(kind, headers, payload)
        yield Content(
            kind,
            NAMES.get(kind, kind),
            words[:MAX_WORDS] + "…" * (len(words) > MAX_WORDS),
            content_type and content_type[:MAX_NAME],
            len(payload),
        )


def _words(kind: str, headers: dict[str, Any], payload: bytes) -> str:
    if kind not in NAMES:
        return UNKNOWN
    facts = facts_of(kind, headers, payload, max_json_bytes=MAX_READ_BYTES)
    return clean_text(" · ".join(" ".join(fact.split()) for fact in facts if fact))
