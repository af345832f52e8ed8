"""Scrubs a whole envelope: its headers, its items of any type, and its files.

JSON in any item is scrubbed as JSON, all other text as text, in any encoding (:mod:`texts`). A
picture or a recording is not changed, because no part of it can be removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from app.protocol.envelope import PROFILE_ITEMS, Envelope, Item, dump_json
from app.protocol.scrub import Finding, Scrubber
from app.protocol.scrubbing.budget import MAX_WORK, WorkBudget
from app.protocol.scrubbing.texts import ODD_BYTES as _ODD
from app.protocol.scrubbing.texts import Text, read_file, read_text

Attachments = Literal["scrub", "keep", "off"]

# Larger payloads of bytes are not scrubbed: a log of 512 KiB costs 0.1 s. The same limit applies to
# the JSON of item types that are not parsed here.
MAX_TEXT_BYTES = 512 * 1024
# Headers that Sentry needs unchanged, if they have the right form: ids, a public key, and types.
_ID = re.compile(r"[0-9a-fA-F-]{16,36}")
_KEY = re.compile(r"[0-9a-zA-Z]{1,64}")
_WORD = re.compile(r"[a-z][a-z0-9_.]{0,63}")
# A legacy DSN also has a secret after the public key. Such a DSN is filtered.
_DSN = re.compile(r"https?://[0-9a-zA-Z]{1,64}@[\w.:-]{1,255}[\w./-]{0,255}")
_TIME = re.compile(r"[0-9T:.Z+-]{1,40}")
_KEPT = {
    "event_id": _ID, "trace_id": _ID, "replay_id": _ID, "public_key": _KEY, "dsn": _DSN,
    "sent_at": _TIME, "type": _WORD, "attachment_type": _WORD,
}  # fmt: skip
# These items may begin with JSON; the rest is binary.
_BINARY_ITEMS = PROFILE_ITEMS | {"replay_recording", "replay_video"}
# What a sample of a profile has: numbers.
_OF_SAMPLE = frozenset({"elapsed_since_start_ns", "stack_id", "thread_id", "timestamp"})
_FILE = "attachment"
# The header with the number of JSON bytes at the start of an item that continues in another format.
_META_LENGTH = "meta_length"
# Not strict, because the JSON of clients may contain line ends and NUL in a text.
_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[ \t\r\n]*+")


def scrub_envelope(
    envelope: Envelope,
    scrubber: Scrubber,
    known: Iterable[str] = (),
    *,
    attachments: Attachments = "scrub",
    budget: WorkBudget | None = None,
) -> list[Finding]:
    """Remove the secrets from an envelope in place, and return the scrubbing report.

    :param known: secrets to remove wherever they occur.
    :param attachments: ``scrub``: scrub files that are text; ``keep``: keep files unchanged;
        ``off``: drop all files. The names of files are always scrubbed.
    :param budget: afterwards, its ``is_exceeded`` says whether it was exceeded.
    """
    budget, known = budget or WorkBudget(), frozenset(known)
    if attachments == "off":
        _drop_files(envelope)
    findings = _scrub_headers(envelope, scrubber, known, budget)
    for item in envelope.items:
        if not isinstance(item.payload, bytes):
            samples = _without_samples(item)
            item.payload, found = scrubber.scrub(item.payload, known, budget)
            _put_back(item, samples)
            findings += found
        elif item.type != _FILE or attachments == "scrub":
            findings += _scrub_bytes(item, scrubber, known, budget)
    return findings


def _without_samples(item: Item) -> dict[str, Any]:
    """Take the numbers of samples and stacks out of a profile, and return them.

    They would take the whole budget: a profile of ten threads has 100,000 numbers in ten seconds.
    The id of a thread may look like the number of a card.
    """
    if item.type not in PROFILE_ITEMS or not isinstance(item.payload, dict):
        return {}
    if not isinstance(profile := item.payload.get("profile"), dict):
        return {}
    parts = {"samples": _is_sample, "stacks": _is_stack}
    taken = {
        name: given
        for name, is_plain in parts.items()
        if isinstance(given := profile.get(name), list) and all(map(is_plain, given))
    }
    item.payload = {**item.payload, "profile": {**profile, **dict.fromkeys(taken, ())}}
    return taken


def _put_back(item: Item, taken: dict[str, Any]) -> None:
    if taken and isinstance(profile := item.payload.get("profile"), dict):
        profile.update(taken)


def _is_sample(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= _OF_SAMPLE
        and all(
            type(one) in (int, float)
            or (isinstance(one, str) and len(one) < 21 and one.isdecimal())
            for one in value.values()
        )
    )


def _is_stack(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)


def _drop_files(envelope: Envelope) -> None:
    others = [item for item in envelope.items if item.type != _FILE]
    for item in envelope.items:
        if item.type == _FILE:
            item.payload = b""
    # An envelope always has items. If it has only files, the empty items with their names stay.
    envelope.items = others or envelope.items


# ---- headers ------------------------------------------------------------------------------------


def _scrub_headers(
    envelope: Envelope, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget
) -> list[Finding]:
    """Scrub the headers of the envelope and all items in one call: each has only a few fields."""
    owners = [envelope.headers, *(item.headers for item in envelope.items)]
    others = [_part_of(headers, is_kept=False) for headers in owners]
    if not any(others):
        return []
    # Most envelopes of a client have the same headers, and scrubbing them takes a tenth of all.
    # The cost is the one of the first time, so that the budget gives the same result.
    seen = repr(others) if not known and budget.left == MAX_WORK else ""
    if cost := scrubber.clean_headers.get(seen):
        budget.left -= cost
        return []
    scrubbed, findings = scrubber.scrub({"headers": others}, known, budget)
    if seen and not findings:
        scrubber.remember_headers(seen, MAX_WORK - budget.left)
    if findings:
        for headers, new in zip(owners, scrubbed["headers"], strict=True):
            kept = _part_of(headers, is_kept=True)
            if isinstance(trace := new.get("trace"), dict):
                new["trace"] = {**kept["trace"], **trace}
            headers.clear()
            headers.update({**kept, **new})
    return findings


def _part_of(headers: dict[str, Any], *, is_kept: bool) -> dict[str, Any]:
    """Return the headers that are kept unchanged, or all others; also for members of `trace`."""
    part = {name: value for name, value in headers.items() if _is_kept(name, value) is is_kept}
    if isinstance(trace := headers.get("trace"), dict):
        part["trace"] = {k: value for k, value in trace.items() if _is_kept(k, value) is is_kept}
    return part


def _is_kept(name: str, value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float)):
        return name in ("length", "item_count", _META_LENGTH)
    pattern = _KEPT.get(name)
    return pattern is not None and isinstance(value, str) and bool(pattern.fullmatch(value))


# ---- payloads -----------------------------------------------------------------------------------


def _scrub_bytes(
    item: Item, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget
) -> list[Finding]:
    """Scrub a payload of bytes; if nothing is found, the bytes do not change."""
    if len(item.payload) > MAX_TEXT_BYTES:
        return []
    # A file has its own budget, so that it does not depend on the cost of the event before it.
    work = _Payload(scrubber, known, WorkBudget() if item.type == _FILE else budget)
    length = item.headers.get(_META_LENGTH)
    at = length if type(length) is int and 0 < length <= len(item.payload) else 0
    head, body = work.json_or_text(item.payload[:at]), item.payload[at:]
    if item.type == _FILE:
        body = work.file(body)
    else:
        body = work.beginning(body) if item.type in _BINARY_ITEMS else work.json_or_text(body)
    if work.findings:
        item.payload = head + body
        if at:
            item.headers[_META_LENGTH] = len(head)
    return [finding._replace(path=finding.path or item.type) for finding in work.findings]


class _Payload:
    """Scrubs the parts of a payload of bytes."""

    def __init__(self, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget) -> None:
        self._scrubber, self._known, self._budget = scrubber, known, budget
        self.findings: list[Finding] = []

    def file(self, payload: bytes) -> bytes:
        """Return a scrubbed file; a file that is not text is unchanged."""
        text = read_file(payload)
        return payload if text is None else self._text(text, payload)

    def json_or_text(self, payload: bytes) -> bytes:
        """Return a scrubbed payload that is not a file: JSON as JSON, all other data as text."""
        text = read_text(payload)
        value, end = _json_at(text.value, 0)
        if value is None or _SPACE.fullmatch(text.value, end) is None:
            return self._text(text, payload)
        return self._json(value, payload)

    def beginning(self, payload: bytes) -> bytes:
        """Return a payload with its JSON at the start scrubbed.

        A replay is a line of JSON and a recording after it.
        """
        text, parts, end = payload.decode(errors=_ODD), [], 0
        while (found := _json_at(text, end))[0] is not None:
            value, stop = found
            parts.append(self._json(value, text[end:stop].encode(errors=_ODD)))
            space = _SPACE.match(text, stop)
            end = space.end() if space else stop
            parts.append(text[stop:end].encode())
        return b"".join((*parts, text[end:].encode(errors=_ODD)))

    def _json(self, value: Any, payload: bytes) -> bytes:
        scrubbed, found = self._scrubber.scrub(value, self._known, self._budget)
        self.findings += found
        return dump_json(scrubbed) if found else payload

    def _text(self, text: Text, payload: bytes) -> bytes:
        scrubbed, found = self._scrubber.scrub(text.value, self._known, self._budget)
        self.findings += found
        return text.encode(scrubbed) if found else payload


def _json_at(text: str, position: int) -> tuple[Any, int]:
    """Return the object or list at a position and its end; ``None`` if there is none."""
    space = _SPACE.match(text, position)
    start = space.end() if space else position
    if text[start : start + 1] not in ("{", "["):
        return None, position
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, position
