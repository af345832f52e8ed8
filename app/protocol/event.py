"""The event: one occurrence, whichever form an SDK gave it, read into one shape.

Nothing here fails on odd input: a field of a wrong type reads as absent, because an error report
that is partly strange is still worth keeping.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/, 2026-11-23.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

LEVELS = ("fatal", "error", "warning", "info", "debug")
# What raven, JavaScript and syslog call the same things.
_LEVEL_ALIASES = {
    "critical": "fatal",
    "warn": "warning",
    "log": "info",
    "50": "fatal",
    "40": "error",
    "30": "warning",
    "20": "info",
    "10": "debug",
}
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
# PostgreSQL refuses NUL in text, and no UTF-8 can write half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a stack, with the source around its line where the client had it."""

    function: str | None
    module: str | None
    filename: str | None
    abs_path: str | None
    lineno: int | None
    colno: int | None
    in_app: bool
    context_line: str | None
    pre_context: list[str]
    post_context: list[str]
    vars: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExceptionValue:
    """One exception of a chain; ``frames`` run from the oldest call to the newest."""

    type: str | None
    value: str | None
    module: str | None
    mechanism: str | None
    handled: bool | None
    frames: list[Frame]


@dataclass(frozen=True, slots=True)
class Event:
    """An event as this program reads it. ``exceptions`` keep the payload's order, cause first."""

    event_id: str
    timestamp: datetime
    level: str
    platform: str | None = None
    logger: str | None = None
    message: str | None = None
    message_template: str | None = None
    transaction: str | None = None
    release: str | None = None
    environment: str | None = None
    server_name: str | None = None
    user: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    sdk: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)
    fingerprint: list[str] = field(default_factory=list)
    exceptions: list[ExceptionValue] = field(default_factory=list)
    breadcrumbs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def main_exception(self) -> ExceptionValue | None:
        """The exception that names the issue: the last one, which was raised outermost."""
        return self.exceptions[-1] if self.exceptions else None

    @property
    def type(self) -> str:
        """The exception's type, or ``message`` for an event without one."""
        return (self.main_exception and self.main_exception.type) or "message"

    @property
    def title(self) -> str:
        """What a list shows: ``Type: first line of the value``, or the message."""
        exception = self.main_exception
        if exception is None or not (exception.type or exception.value):
            return first_line(self.message) or "(no message)"
        return ": ".join(part for part in (exception.type, first_line(exception.value)) if part)

    @property
    def culprit(self) -> str:
        """Where it happened: the transaction, else the newest frame of the application."""
        if self.transaction:
            return self.transaction
        exception = self.main_exception
        frame = top_frame(exception.frames) if exception else None
        if frame is None:
            return self.logger or ""
        where = frame.module or frame.filename or "?"
        return f"{where} in {frame.function}" if frame.function else where


def top_frame(frames: list[Frame]) -> Frame | None:
    """Return the newest frame of the application, else the newest of all."""
    candidates = [frame for frame in frames if frame.in_app] or frames
    return candidates[-1] if candidates else None


def first_line(value: str | None) -> str:
    """Return the first line that is not empty."""
    return next((line.strip() for line in (value or "").splitlines() if line.strip()), "")


def clean_text(value: str) -> str:
    """Return the text as a database can keep it: without NUL, without halves of surrogates."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def parse_event_id(value: object) -> str | None:
    """Return 32 lower-case hex digits, ``None`` when the value is no event id."""
    text = str(value).replace("-", "").lower() if isinstance(value, str) else ""
    return text if _EVENT_ID.fullmatch(text) else None


def read_event(payload: dict[str, Any], *, event_id: str, received_at: datetime) -> Event:
    """Read a payload.

    :param event_id: the id that counts; the envelope's header wins over the payload's.
    :param received_at: stands in for a timestamp that is missing or unreadable.
    """
    logentry = _dict(payload.get("logentry")) or _dict(payload.get("sentry.interfaces.Message"))
    message = _message(payload, logentry)
    return Event(
        event_id=event_id,
        timestamp=_timestamp(payload.get("timestamp")) or received_at,
        level=read_level(payload.get("level")),
        platform=_text(payload.get("platform")),
        logger=_text(payload.get("logger")),
        message=message,
        message_template=_text(logentry.get("message")) or message,
        transaction=_text(payload.get("transaction")),
        release=_text(payload.get("release")),
        environment=_text(payload.get("environment")),
        server_name=_text(payload.get("server_name")),
        user=_dict(payload.get("user")),
        tags=_tags(payload.get("tags")),
        contexts=_dict(payload.get("contexts")),
        extra=_dict(payload.get("extra")),
        request=_dict(payload.get("request")),
        sdk=_dict(payload.get("sdk")),
        modules=_dict(payload.get("modules")),
        fingerprint=[str(part) for part in _list(payload.get("fingerprint"))],
        exceptions=[_exception(value) for value in _values(payload.get("exception"))],
        breadcrumbs=_values(payload.get("breadcrumbs")),
    )


def read_level(value: object) -> str:
    """Return one of :data:`LEVELS`; ``error`` for what is none."""
    level = str(value).lower()
    level = _LEVEL_ALIASES.get(level, level)
    return level if level in LEVELS else "error"


def _message(payload: dict[str, Any], logentry: dict[str, Any]) -> str | None:
    formatted = _text(logentry.get("formatted"))
    message = payload.get("message")
    if isinstance(message, dict):
        message = message.get("formatted") or message.get("message")
    return formatted or _text(message) or _text(logentry.get("message"))


def _exception(value: dict[str, Any]) -> ExceptionValue:
    mechanism = _dict(value.get("mechanism"))
    handled = mechanism.get("handled")
    stack = _dict(value.get("stacktrace"))
    return ExceptionValue(
        type=_text(value.get("type")),
        value=_text(value.get("value")),
        module=_text(value.get("module")),
        mechanism=_text(mechanism.get("type")),
        handled=handled if isinstance(handled, bool) else None,
        frames=[_frame(frame) for frame in _list(stack.get("frames")) if isinstance(frame, dict)],
    )


def _frame(frame: dict[str, Any]) -> Frame:
    return Frame(
        function=_text(frame.get("function")),
        module=_text(frame.get("module")),
        filename=_text(frame.get("filename")),
        abs_path=_text(frame.get("abs_path")),
        lineno=_int(frame.get("lineno")),
        colno=_int(frame.get("colno")),
        in_app=frame.get("in_app") is True,
        context_line=_line(frame.get("context_line")),
        pre_context=[_line(line) or "" for line in _list(frame.get("pre_context"))],
        post_context=[_line(line) or "" for line in _list(frame.get("post_context"))],
        vars=_dict(frame.get("vars")),
    )


def _timestamp(value: object) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC) if math.isfinite(value) else None
        if not isinstance(value, str):
            return None
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _tags(value: object) -> dict[str, str]:
    pairs: Any = value.items() if isinstance(value, dict) else _list(value)
    tags: dict[str, str] = {}
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2 and pair[1] is not None:
            tags[clean_text(str(pair[0]))] = clean_text(str(pair[1]))
    return tags


def _values(value: object) -> list[dict[str, Any]]:
    """Read ``{"values": […]}``, a flat list, or a single object."""
    if isinstance(value, dict):
        value = value.get("values", [value])
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _line(value: object) -> str | None:
    return clean_text(value) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return clean_text(value) or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
