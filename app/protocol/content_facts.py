"""What the payload of an item says about itself, in a few words for each type.

Everything is lenient: what cannot be read is left out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from app.protocol.client_report import read_losses
from app.protocol.envelope import Envelope, Item, load_json
from app.protocol.lenient import (
    parse_event_id,
    read_dict,
    read_list,
    read_number,
    read_text,
    read_timestamp,
    read_values,
)
from app.protocol.minidump import MAGIC, read_minidump
from app.protocol.profile import transaction_of
from app.protocol.slug import MAX_SLUG, TOO_LONG, read_slug

# Of a list: names of metrics, files, addresses.
SHOWN = 5
# Of an Unreal report; the names of its files stand between the files.
MAX_UNREAL_BYTES = 4 * 1024**2
MAX_FILE_NAME = 512
_ATTACHMENTS = {
    "event.minidump": "minidump",
    "event.applecrashreport": "crash report of Apple",
    "event.view_hierarchy": "view hierarchy",
    "event.payload": "event",
    "event.breadcrumbs": "breadcrumbs",
    "unreal.context": "context of Unreal",
    "unreal.logs": "log of Unreal",
    "event.prosperodump": "crash dump of a PlayStation",
}

Facts = Iterator[str]
Given = dict[str, Any]


def facts_of(kind: str, headers: Given, payload: bytes, *, max_json_bytes: int) -> Facts:
    """Yield what there is to say about an item, the most important first.

    :param max_json_bytes: larger JSON is not read.
    """
    if kind in _BYTES:
        yield from _BYTES[kind](headers, payload)
    elif kind in _JSON:
        is_read = len(payload) <= max_json_bytes
        yield from _JSON[kind](_first_value(payload) if is_read else None, headers)


def _first_value(payload: bytes) -> Any:
    """Return the JSON of a payload, or of its first line if something else follows."""
    for text in payload, payload.partition(b"\n")[0]:
        try:
            return load_json(text)
        except (ValueError, RecursionError):
            continue
    return None


# ---- JSON ---------------------------------------------------------------------------------------


def _event(value: Any, headers: Given) -> Facts:
    event = read_dict(value)
    exceptions = read_values(event.get("exception"))
    if exceptions:
        yield ": ".join(
            filter(None, (_text(exceptions[-1], "type"), _text(exceptions[-1], "value")))
        )
    else:
        message = read_dict(event.get("logentry")) or read_dict(event.get("message"))
        yield _text(message, "formatted") or _text(message, "message") or _text(event, "message")
    yield _text(event, "level")
    yield _text(event, "platform")


def _transaction(value: Any, headers: Given) -> Facts:
    transaction = read_dict(value)
    yield _text(transaction, "transaction")
    yield _text(read_dict(read_dict(transaction.get("contexts")).get("trace")), "op")
    yield _between(transaction.get("start_timestamp"), transaction.get("timestamp"))
    if spans := read_list(transaction.get("spans")):
        yield _count(len(spans), "span")


def _session(value: Any, headers: Given) -> Facts:
    session = read_dict(value)
    yield _text(session, "status")
    yield _text(read_dict(session.get("attrs")), "release")
    if errors := read_number(session.get("errors")):
        yield _count(int(errors), "error")


def _sessions(value: Any, headers: Given) -> Facts:
    sessions = read_dict(value)
    groups = read_list(sessions.get("aggregates"))
    names = ("exited", "errored", "abnormal", "crashed")
    for name in names:
        counts = (read_number(read_dict(group).get(name)) for group in groups)
        if total := int(sum(count for count in counts if count)):
            yield f"{total:,} {name}"
    yield _text(read_dict(sessions.get("attrs")), "release")


def _check_in(value: Any, headers: Given) -> Facts:
    check_in = read_dict(value)
    yield _text(check_in, "monitor_slug")
    yield _text(check_in, "status").replace("_", " ")
    yield _text(check_in, "environment")
    if len(read_slug(check_in.get("monitor_slug"))) > MAX_SLUG:
        yield f"of no monitor here, since {TOO_LONG}"


def _feedback(value: Any, headers: Given) -> Facts:
    report = read_dict(value)
    said = read_dict(read_dict(report.get("contexts")).get("feedback")) or report
    yield _text(said, "message") or _text(said, "comments")
    if name := _text(said, "name") or _text(said, "contact_email") or _text(said, "email"):
        yield f"from {name}"


def _client_report(value: Any, headers: Given) -> Facts:
    item = Item({"type": "client_report"}, value)
    for loss in read_losses(Envelope({}, [item]))[:SHOWN]:
        yield f"{loss.quantity:,} × {loss.category} left out by the SDK: {loss.reason}"


def _logs(value: Any, headers: Given) -> Facts:
    entries = _entries(value, headers)
    yield _count(len(entries), "line")
    yield from (f"“{body}”" for body in (_text(one, "body") for one in entries[:1]) if body)


def _spans(value: Any, headers: Given) -> Facts:
    entries = _entries(value, headers)
    yield _count(len(entries), "span")
    for span in entries[:1]:
        name = read_dict(read_dict(span.get("attributes")).get("sentry.segment.name"))
        yield _text(name, "value") or _text(span, "name") or _text(span, "description")


def _metrics(value: Any, headers: Given) -> Facts:
    entries = _entries(value, headers)
    yield _count(len(entries), "value")
    yield _listed(_text(one, "name") for one in entries)


def _profile(value: Any, headers: Given) -> Facts:
    profile = read_dict(value)
    transaction = transaction_of(profile)
    yield _text(transaction, "name") or _text(profile, "transaction_name")
    yield _text(profile, "platform") or _text(headers, "platform")
    samples = read_list(read_dict(profile.get("profile")).get("samples"))
    if samples:
        yield _count(len(samples), "sample")
    if trace := _text(transaction, "trace_id") or _text(profile, "trace_id"):
        yield f"trace {trace}"
    if profiler := _text(profile, "profiler_id"):
        yield f"profiler {profiler}"


def _replay(value: Any, headers: Given) -> Facts:
    replay = read_dict(value)
    segment = read_number(replay.get("segment_id"))
    yield "" if segment is None else f"segment {segment}"
    if replay_id := parse_event_id(replay.get("replay_id")):
        yield f"replay {replay_id}"
    yield _text(replay, "replay_type")
    if errors := read_list(replay.get("error_ids")):
        yield _count(len(errors), "error")
    yield _listed(read_text(url) or "" for url in read_list(replay.get("urls")))


def _network_error(value: Any, headers: Given) -> Facts:
    report = read_dict(value)
    body = read_dict(report.get("body"))
    yield _text(body, "type")
    yield _text(report, "url")
    status = read_number(body.get("status_code"))
    yield f"status {status}" if status else ""


def _security(value: Any, headers: Given) -> Facts:
    report = read_dict(value)
    csp = read_dict(report.get("csp-report")) or read_dict(report.get("csp")) or report
    for name in ("effective-directive", "violated-directive", "blocked-uri", "document-uri"):
        yield _text(csp, name) or _text(csp, name.replace("-", "_"))


def _buckets(value: Any, headers: Given) -> Facts:
    yield _count(len(read_list(value)), "value")
    yield _listed(_text(read_dict(one), "name") for one in read_list(value))


# ---- bytes --------------------------------------------------------------------------------------


def _attachment(headers: Given, payload: bytes) -> Facts:
    kind = _text(headers, "attachment_type")
    yield _text(headers, "filename")
    yield "" if kind == "event.attachment" else _ATTACHMENTS.get(kind, kind)
    dump = read_minidump(payload) if payload.startswith(MAGIC) else None
    if dump is not None:
        yield "" if dump.code is None else f"exception 0x{dump.code:08x}"
        yield _listed(dump.modules)


def _recording(headers: Given, payload: bytes) -> Facts:
    first, _, recorded = payload.partition(b"\n")
    yield from _replay(_first_value(first[:1000]), headers)
    is_packed = recorded[:1] == b"\x78"
    yield f"{len(recorded):,} bytes of it{', compressed' if is_packed else ''}" if recorded else ""


def _video(headers: Given, payload: bytes) -> Facts:
    """Yield the facts of the JSON inside: the rest is MessagePack, and the video."""
    start = payload.find(b"{", 0, 1024)
    end = payload.find(b"}", start) + 1
    if 0 <= start < end:
        yield from _replay(_first_value(payload[start:end]), headers)


def _lines(headers: Given, payload: bytes) -> Facts:
    lines = payload.split(b"\n")
    yield _count(sum(bool(line.strip()) for line in lines), "value")
    yield _listed(line.partition(b":")[0].decode("utf-8", "replace") for line in lines[:100])


def _unreal(headers: Given, payload: bytes) -> Facts:
    names = list(_unreal_files(payload))
    yield _count(len(names), "file") if names else "its files cannot be read"
    yield _listed(names)


def _unreal_files(payload: bytes) -> Iterator[str]:
    """Yield the names of the files in a crash report of Unreal Engine, as far as they are read.

    Source: https://github.com/getsentry/symbolic/tree/master/symbolic-unreal (container.rs),
    2026-11-28.
    """
    try:
        data = zlib.decompressobj().decompress(payload, MAX_UNREAL_BYTES)
        at = 3 if data.startswith(b"CR1") else 0
        for _ in range(2):  # The names of the folder and of the report.
            at += 4 + struct.unpack_from("<I", data, at)[0]
        at += 8  # The size before compression, and the count of the files.
        while at < len(data):
            index, length = struct.unpack_from("<iI", data, at)
            name = data[at + 8 : at + 8 + length]
            (size,) = struct.unpack_from("<I", data, at + 8 + length)
            if not 0 < length <= MAX_FILE_NAME or index < 0:
                return
            yield name.rstrip(b"\0").decode("utf-8", "replace")
            at += 12 + length + size
    except (zlib.error, struct.error):
        return


# ---- words --------------------------------------------------------------------------------------


def _text(values: Given, name: str) -> str:
    return read_text(values.get(name)) or ""


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}{'' if number == 1 else 's'}"


def _listed(names: Any) -> str:
    found = list(dict.fromkeys(filter(None, names)))
    rest = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _entries(value: Any, headers: Given) -> list[Given]:
    given = read_dict(value)
    entries = read_list(given["items"]) if "items" in given else [given]
    return [one for one in entries if isinstance(one, dict) and one]


def _between(start: Any, end: Any) -> str:
    began, ended = read_timestamp(start), read_timestamp(end)
    if began is None or ended is None or ended < began:
        return ""
    return f"{(ended - began).total_seconds() * 1000:,.0f} ms"


_JSON: dict[str, Callable[[Any, Given], Facts]] = {
    "event": _event,
    "transaction": _transaction,
    "session": _session,
    "sessions": _sessions,
    "check_in": _check_in,
    "feedback": _feedback,
    "user_report": _feedback,
    "client_report": _client_report,
    "log": _logs,
    "span": _spans,
    "trace_metric": _metrics,
    "profile": _profile,
    "profile_chunk": _profile,
    "replay_event": _replay,
    "nel": _network_error,
    "security": _security,
    "raw_security": _security,
    "metric_buckets": _buckets,
}
_BYTES: dict[str, Callable[[Given, bytes], Facts]] = {
    "attachment": _attachment,
    "replay_recording": _recording,
    "replay_video": _video,
    "statsd": _lines,
    "unreal_report": _unreal,
}
