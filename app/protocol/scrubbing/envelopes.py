"""Everything in an envelope that may hold a secret: headers, items of any kind, files.

JSON of whatever type is scrubbed as JSON, other text as text, whatever its encoding (:mod:`texts`).
A picture or a recording stays whole, as nobody can take a part out of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from app.protocol.envelope import Envelope, Item, dump_json
from app.protocol.scrub import Finding, Scrubber
from app.protocol.scrubbing.budget import WorkBudget
from app.protocol.scrubbing.texts import ODD_BYTES as _ODD
from app.protocol.scrubbing.texts import Text, read_file, read_text

Attachments = Literal["scrub", "keep", "off"]

# Files beyond are kept whole: a log of 512 KiB costs 0.1 s. Of JSON that no reader here knows.
MAX_TEXT_BYTES = 512 * 1024
# What Sentry needs as it is, where it has the form: ids, a public key, what the parts are.
_ID = re.compile(r"[0-9a-fA-F-]{16,36}")
_KEY = re.compile(r"[0-9a-zA-Z]{1,64}")
_WORD = re.compile(r"[a-z][a-z0-9_.]{0,63}")
# A legacy DSN has a secret behind the public key, which is filtered.
_DSN = re.compile(r"https?://[0-9a-zA-Z]{1,64}@[\w.:-]{1,255}[\w./-]{0,255}")
_TIME = re.compile(r"[0-9T:.Z+-]{1,40}")
_KEPT = {
    "event_id": _ID, "trace_id": _ID, "replay_id": _ID, "public_key": _KEY, "dsn": _DSN,
    "sent_at": _TIME, "type": _WORD, "attachment_type": _WORD,
}  # fmt: skip
# JSON may stand at their beginning; the rest is binary, whatever its first bytes are.
_BINARY_ITEMS = frozenset({"replay_recording", "replay_video", "profile", "profile_chunk"})
_FILE = "attachment"
# How many bytes of JSON begin an item that goes on with something else.
_META_LENGTH = "meta_length"
# As the JSON of clients may have line ends and NUL within a text.
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
    findings = _scrub_headers(envelope, scrubber, known, budget)
    for item in envelope.items:
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


# ---- headers ------------------------------------------------------------------------------------


def _scrub_headers(
    envelope: Envelope, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget
) -> list[Finding]:
    """Scrub all headers at once: an envelope's own and its items' are few fields each."""
    owners = [envelope.headers, *(item.headers for item in envelope.items)]
    others = [_part_of(headers, is_kept=False) for headers in owners]
    if not any(others):
        return []
    scrubbed, findings = scrubber.scrub({"headers": others}, known, budget)
    if findings:
        for headers, new in zip(owners, scrubbed["headers"], strict=True):
            kept = _part_of(headers, is_kept=True)
            if isinstance(trace := new.get("trace"), dict):
                new["trace"] = {**kept["trace"], **trace}
            headers.clear()
            headers.update({**kept, **new})
    return findings


def _part_of(headers: dict[str, Any], *, is_kept: bool) -> dict[str, Any]:
    """Return the headers that are kept as they are, or the others; of `trace` its members."""
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
    """Scrub what came as bytes; where nothing is found they stay the very same."""
    if len(item.payload) > MAX_TEXT_BYTES:
        return []
    # A file is read whole or not at all, whatever the event before it took of the budget.
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
    """Scrubs the parts of one payload."""

    def __init__(self, scrubber: Scrubber, known: frozenset[str], budget: WorkBudget) -> None:
        self._scrubber, self._known, self._budget = scrubber, known, budget
        self.findings: list[Finding] = []

    def file(self, payload: bytes) -> bytes:
        """Scrub a file, if it is text."""
        text = read_file(payload)
        return payload if text is None else self._text(text, payload)

    def json_or_text(self, payload: bytes) -> bytes:
        """Scrub what is no file: JSON as JSON, all else as text."""
        text = read_text(payload)
        value, end = _json_at(text.value, 0)
        if value is None or _SPACE.fullmatch(text.value, end) is None:
            return self._text(text, payload)
        return self._json(value, payload)

    def beginning(self, payload: bytes) -> bytes:
        """Scrub the JSON at the beginning: a replay is a line of it, and a recording behind it."""
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
    """Return an object or a list that begins here, and where it ends; ``None`` for what is none."""
    space = _SPACE.match(text, position)
    start = space.end() if space else position
    if text[start : start + 1] not in ("{", "["):
        return None, position
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, position
