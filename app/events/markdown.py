"""One event as Markdown, to paste into an issue or a chat: short, without cookies and headers.

The limits are those of Sentry's own Markdown: 16 frames, the last 10 breadcrumbs, and only method
and address of the request. Of the user it has what the event was stored with: the id, the name or
the e-mail address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from app.events.places import place_of
from app.events.queries import StoredEvent
from app.events.values import as_read, as_text, printable, read_time, shorten
from app.protocol.event import Event, ExceptionValue, Frame
from app.protocol.scrub import FILTERED

MAX_FRAMES = 16
MAX_BREADCRUMBS = 10
MAX_VARIABLES = 20
MAX_VALUE = 200
MAX_MESSAGE = 2000


def markdown_of(stored: StoredEvent) -> str:
    """Return the Markdown of an event; it ends with a line end."""
    event = stored.event
    parts = [f"# {_line(event.title, 300)}", "\n".join(_facts(event, stored.row.timestamp))]
    for position, exception in enumerate(reversed(event.exceptions[-5:])):
        parts += _exception(exception, "Exception" if position == 0 else "Caused by")
    if not event.exceptions and event.message:
        parts += ["## Message", _fenced(printable(event.message)[:MAX_MESSAGE])]
    if not event.exceptions and event.stack:
        parts += ["## Stack", *_calls(event.stack)]
    if crumbs := list(_breadcrumbs(event)):
        parts += ["## Breadcrumbs", "\n".join(crumbs)]
    return "\n\n".join(parts) + "\n"


def _facts(event: Event, at: datetime) -> Iterator[str]:
    facts: dict[str, object] = {
        "Event": event.event_id,
        "Time": at.isoformat(),
        "Level": event.level,
        "Environment": event.environment,
        "Release": event.release,
        "Where": event.culprit,
        "Request": _request(event),
        "User": _user(event),
        "Server": event.server_name,
    }
    facts |= {f"Tag {name}": value for name, value in list(event.tags.items())[:50]}
    for name, value in facts.items():
        if value:
            yield f"- **{_line(name, 100)}**: {_code(as_text(value))}"


def _request(event: Event) -> str:
    return " ".join(as_text(event.request[n]) for n in ("method", "url") if event.request.get(n))


def _user(event: Event) -> str:
    names = ("id", "username", "email")
    return ", ".join(as_text(event.user[name]) for name in names if event.user.get(name))


def _exception(exception: ExceptionValue, heading: str) -> list[str]:
    parts = [f"## {heading}: {_line(exception.type or '(no type)', 200)}"]
    if exception.value:
        parts.append(_fenced(printable(exception.value)[:MAX_MESSAGE]))
    return parts + (_calls(exception.frames) if exception.frames else [])


def _calls(frames: list[Frame]) -> list[str]:
    newest = list(reversed(_most_telling(frames)))
    parts = ["Most recent call first:", _fenced("\n".join(map(_call, newest)))]
    if variables := _variables(newest):
        parts += ["Variables of the most recent call:", "\n".join(variables)]
    return parts


def _most_telling(frames: list[Frame]) -> list[Frame]:
    if len(frames) <= MAX_FRAMES:
        return frames
    own = [frame for frame in frames if frame.in_app]
    return (own if len(own) >= MAX_FRAMES else frames)[-MAX_FRAMES:]


def _call(frame: Frame) -> str:
    text = f"{place_of(frame)} in {printable(frame.function or '?')}"
    return (
        f"{text}\n    {printable(frame.context_line).strip()[:300]}" if frame.context_line else text
    )


def _variables(newest_first: list[Frame]) -> list[str]:
    frame = next((frame for frame in newest_first if frame.in_app), newest_first[0])
    return [
        f"- {_code(as_text(name))} = {_code(as_read(value))}"
        for name, value in list(frame.vars.items())[:MAX_VARIABLES]
    ]


def _breadcrumbs(event: Event) -> Iterator[str]:
    for crumb in event.breadcrumbs[-MAX_BREADCRUMBS:]:
        message = as_text(crumb.get("message") or "") or _request_of(crumb.get("data"))
        if FILTERED in message:
            continue
        at = read_time(crumb.get("timestamp"))
        category = as_text(crumb.get("category") or crumb.get("type") or "default")
        when = f"{at:%H:%M:%S} " if at else ""
        yield f"- {when}{_code(category)} {_code(message)}"


def _request_of(data: object) -> str:
    """Return what a breadcrumb without a message says: its request, or all its data."""
    if not isinstance(data, dict):
        return as_text(data or "")
    parts = [as_text(data[name]) for name in ("method", "url") if data.get(name)]
    status = data.get("status_code") or data.get("http.response.status_code")
    return " ".join([*parts, *([f"[{as_text(status)}]"] if status else [])]) or as_read(data)


def _line(text: str, limit: int) -> str:
    # A heading must not become several lines, a link or an image.
    return re.sub(r"([\\`*_\[\]<>#!|])", r"\\\1", shorten(printable(text), limit))


def _code(text: str) -> str:
    line = shorten(text, MAX_VALUE) or " "
    ticks = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
