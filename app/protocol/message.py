"""The message of an event and its template, read from the three places where clients put it.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/message/, 2026-11-24.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.protocol.lenient import read_anything, read_dict, read_pairs, read_text

# Sentry keeps this many characters of a message. A person does not read more.
MAX_FORMATTED = 8192
# The width is bounded and never applied, so that "%999999999d" does not make a text of a gigabyte.
_PERCENT = re.compile(
    r"%(?:\((?P<name>[^()]{1,100})\))?[#0+-]{0,4}\d{0,4}(?:\.\d{1,4})?[hlL]?(?P<kind>[diouxXeEfFgGcrsajO%])"
)
_BRACE = re.compile(r"\{(?P<name>\w{0,100})(?:![rsa])?(?::[^{}]{0,40})?\}")


class Message(NamedTuple):
    """A formatted message and its template."""

    formatted: str | None
    template: str | None


def read_message(payload: dict[str, Any]) -> Message:
    """Return the message of a payload.

    ``logentry`` wins over ``message`` (a text or an object like ``logentry``) and over raven's
    ``sentry.interfaces.Message``. If the client did not format the message, it is formatted here.
    """
    plain = payload.get("message")
    logentry = payload.get("logentry")
    entry = next(filter(None, map(read_dict, _entries(payload))), {})
    if isinstance(logentry, str) and not isinstance(plain, str):
        plain = logentry
    template = read_text(entry.get("message"))
    formatted = read_text(entry.get("formatted")) or (
        read_text(plain) if not entry.get("params") else None
    )
    if formatted is None:
        formatted = _format(template, entry.get("params")) if template else read_text(plain)
    return Message(formatted, template or formatted)


def _entries(payload: dict[str, Any]) -> list[object]:
    return [payload.get(key) for key in ("logentry", "message", "sentry.interfaces.Message")]


def _format(template: str, params: object) -> str:
    """Return a template with its parameters; a placeholder without a parameter is unchanged."""
    if not params:
        return template
    named = read_pairs(params) if isinstance(params, dict) else {}
    positional = iter(params) if isinstance(params, list) else iter(())

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if "kind" in match.re.groupindex and match["kind"] == "%":
            return "%"
        if name and not name.isdecimal():
            return _shown(named[name]) if name in named else match[0]
        if name and isinstance(params, list):
            return _shown(params[int(name)]) if int(name) < len(params) else match[0]
        return _shown(next(positional, match[0]))

    pattern = _PERCENT if _PERCENT.search(template) else _BRACE
    return pattern.sub(fill, template[:MAX_FORMATTED])[:MAX_FORMATTED]


def _shown(value: object) -> str:
    return "None" if value is None else (read_anything(value) or "")[:1000]
