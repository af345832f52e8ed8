"""Fingerprints: the parts that a client or a rule gave, with Sentry's variables replaced.

Source: https://docs.sentry.io/concepts/data-management/event-grouping/fingerprint-rules/
(Variables), 2026-11-24.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from app.issues.frames import Call, crash_call
from app.issues.parametrize import parametrize
from app.protocol.event import Event, Frame, top_frame

MAX_PARTS = 50
MAX_PART = 500

_VARIABLE = re.compile(r"\{\{\s{0,20}(?P<name>[\w.:/-]{1,200})\s{0,20}\}\}")
_DEFAULT = re.compile(r"\{\{\s{0,20}default\s{0,20}\}\}", re.IGNORECASE)


def is_default(parts: list[str]) -> bool:
    """Return whether a fingerprint only asks for the default grouping."""
    return all(not part.strip() or _DEFAULT.fullmatch(part.strip()) for part in parts)


def expand(parts: list[str], event: Event, default_key: str) -> str:
    """Return a fingerprint as readable text, one line per part.

    An unknown variable stays as it was written. A known variable without a value is replaced by a
    text that says so.

    :param default_key: the key of the default grouping, for ``{{ default }}``.
    """
    return "\n".join(_line(part, event, default_key) for part in parts[:MAX_PARTS])


def _line(part: str, event: Event, default_key: str) -> str:
    if _DEFAULT.fullmatch(part.strip()):
        return "default " + default_key.replace("\n", "\n  ")
    filled = _VARIABLE.sub(lambda match: _filled(match, event, default_key), part)
    # Line ends are escaped: otherwise two parts would look like one part with a line end.
    line = filled.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    if len(line) > MAX_PART:
        line = f"{line[:MAX_PART]}… {hashlib.sha256(line.encode('utf-8', 'replace')).hexdigest()}"
    return f"- {line}"


def _filled(match: re.Match[str], event: Event, default_key: str) -> str:
    name = match["name"]
    if name.lower() == "default":
        return default_key
    if name.startswith("tags."):
        return event.tags.get(name[5:]) or f"<no-value-for-tag-{name[5:]}>"
    read = _VARIABLES.get(name)
    return match[0] if read is None else (read(event) or f"<no-{name.rpartition('.')[2]}>")


def _value(event: Event) -> str | None:
    exception = event.outermost_exception
    return parametrize((exception and exception.value) or event.message or "")


def _message(event: Event) -> str | None:
    exception = event.outermost_exception
    return parametrize(event.message or (exception and exception.value) or "")


def _frames(event: Event) -> list[Frame]:
    """Return the frames of the outermost exception, in every version of the grouping rules.

    A fingerprint with the type or the function must not change from version to version.
    """
    exception = event.outermost_exception
    return exception.frames if exception else event.stack


def _call(event: Event) -> Call | None:
    return crash_call(_frames(event))


def _function(event: Event) -> str | None:
    call = _call(event)
    return call.function if call else None


def _place(event: Event) -> str | None:
    call = _call(event)
    return call.place if call else None


def _type(event: Event) -> str | None:
    exception = event.outermost_exception
    return exception.type if exception else None


def _package(event: Event) -> str | None:
    frame = top_frame(_frames(event))
    return (frame.package or "").replace("\\", "/").rpartition("/")[2] if frame else None


def _path(event: Event) -> str | None:
    frame = top_frame(_frames(event))
    return (frame.abs_path or frame.filename) if frame else None


_VARIABLES: dict[str, Callable[[Event], str | None]] = {
    "type": _type,
    "error.type": _type,
    "value": _value,
    "error.value": _value,
    "message": _message,
    "function": _function,
    "stack.function": _function,
    "module": _place,
    "stack.module": _place,
    "package": _package,
    "stack.package": _package,
    "stack.abs_path": _path,
    "transaction": lambda event: event.transaction,
    "level": lambda event: event.level,
    "logger": lambda event: event.logger,
    "release": lambda event: event.release,
    "environment": lambda event: event.environment,
    "platform": lambda event: event.platform,
}
