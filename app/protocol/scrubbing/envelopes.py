"""Everything in an envelope that may hold a secret: headers, items of any kind, files.

JSON of whatever type is scrubbed as JSON, other text as text; binary data stays whole, as nobody
can take a part out of a picture or a recording.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from app.protocol.envelope import Envelope, Item, dump_json
from app.protocol.scrub import Finding, Scrubber
from app.protocol.scrubbing.budget import WorkBudget

Attachments = Literal["scrub", "keep", "off"]

# Files beyond are kept whole: a log of 512 KiB costs 0.1 s. Of JSON that no reader here knows.
MAX_TEXT_BYTES = 512 * 1024
# The protocol's own, among them ids and the DSN, whose key is public.
_PLAIN_HEADERS = frozenset(
    "event_id dsn sdk sent_at trace type length content_type attachment_type item_count".split()
)
# Binary, whatever their first bytes are.
_BINARY_ITEMS = frozenset({"replay_recording", "replay_video", "profile", "profile_chunk"})
_FILE = "attachment"


def scrub_envelope(
    envelope: Envelope,
    scrubber: Scrubber,
    known: Iterable[str] = (),
    *,
    attachments: Attachments = "scrub",
    budget: WorkBudget | None = None,
) -> list[Finding]:
    """Take the secrets out of an envelope, in place.

    :param known: secrets to take out wherever they stand.
    :param attachments: ``scrub`` files that are text, ``keep`` them as they are, or leave all
        ``off``; the names of files are scrubbed in any case.
    :param budget: tells afterwards whether it was exceeded.
    :return: the report.
    """
    budget, known = budget or WorkBudget(), frozenset(known)
    if attachments == "off":
        _drop_files(envelope)
    findings = _scrub_headers(envelope.headers, scrubber, budget)
    for item in envelope.items:
        findings += _scrub_headers(item.headers, scrubber, budget)
        if not isinstance(item.payload, bytes):
            item.payload, found = scrubber.scrub(item.payload, known, budget)
            findings += found
        elif item.type != _FILE or attachments == "scrub":
            findings += _scrub_bytes(item, scrubber, known, budget)
    return findings


def _drop_files(envelope: Envelope) -> None:
    others = [item for item in envelope.items if item.type != _FILE]
    for item in envelope.items:
        if item.type == _FILE:
            item.payload = b""
    # An envelope is never without items; of one with files alone their names stay.
    envelope.items = others or envelope.items


def _scrub_headers(
    headers: dict[str, Any], scrubber: Scrubber, budget: WorkBudget
) -> list[Finding]:
    own = {name: value for name, value in headers.items() if name not in _PLAIN_HEADERS}
    if not own:
        return []
    scrubbed, findings = scrubber.scrub({"headers": own}, (), budget)
    if findings:
        kept = {name: value for name, value in headers.items() if name in _PLAIN_HEADERS}
        headers.clear()
        headers.update(kept | scrubbed["headers"])
    return findings


def _scrub_bytes(
    item: Item, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget
) -> list[Finding]:
    if item.type in _BINARY_ITEMS or len(item.payload) > MAX_TEXT_BYTES or b"\0" in item.payload:
        return []
    try:
        text = item.payload.decode()
    except UnicodeDecodeError:
        return []
    value = _json_of(text) if item.type != _FILE else None
    # A file is read whole or not at all, whatever the event before it took of the budget.
    own_budget = WorkBudget() if item.type == _FILE else budget
    scrubbed, findings = scrubber.scrub(text if value is None else value, known, own_budget)
    if findings:
        item.payload = scrubbed.encode() if value is None else dump_json(scrubbed)
    return [finding._replace(path=finding.path or item.type) for finding in findings]


def _json_of(text: str) -> Any:
    """Return an object or a list, ``None`` for what is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
