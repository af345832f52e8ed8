"""One event as its page shows it: every size is limited, and every type of value is accepted.

StoredEvent ── EventView ── stacks (newest exception first) ── parts ── frames ── lines of source
                    └────── facts, breadcrumbs, request, contexts … as named texts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from app.admin.curl import curl_of
from app.admin.event_time import time_corrected
from app.admin.highlight import highlight
from app.admin.languages import language_of
from app.admin.values import Shown, as_text, printable, read_time, shorten, show, show_all
from app.events.queries import StoredEvent
from app.protocol.event import Event, ExceptionValue, Frame, read_level
from app.protocol.libraries import newest_own_frame

# A payload of the largest size can have many times as much. The raw JSON has all of it.
MAX_EXCEPTIONS = 50
MAX_FRAMES = 250
MAX_VARIABLES = 100
MAX_BREADCRUMBS = 100
MAX_CONTEXT_LINES = 10
# A larger number is not a line number, and adding to it may exceed what Python prints.
MAX_LINE_NUMBER = 10**9


@dataclass(frozen=True)
class FrameView:
    """One frame of a stack.

    :param source: its lines as HTML; empty if they were not sent.
    """

    function: str
    where: str
    module: str
    in_app: bool
    open: bool
    source: Markup
    variables: list[Shown]


class Part(NamedTuple):
    """Adjacent frames, all in-app or all of libraries; several library frames are folded."""

    folded: bool
    frames: list[FrameView]


@dataclass(frozen=True)
class Stack:
    """One exception with its frames, the most recent first.

    :param relation: to the exception above it, in words; empty for the first.
    :param left_out: how many frames are not shown.
    """

    relation: str
    type: str
    value: str
    module: str
    mechanism: str
    handled: bool | None
    parts: list[Part]
    left_out: int


@dataclass(frozen=True)
class Breadcrumb:
    """One breadcrumb."""

    at: datetime | None
    level: str
    category: str
    message: Shown
    data: list[Shown]


class Section(NamedTuple):
    """Named values under a heading."""

    name: str
    members: list[Shown]


@dataclass(frozen=True)
class EventView:
    """An event as ``event.html`` draws it."""

    type: str
    value: str
    where: str
    event: Event
    stacks: list[Stack]
    breadcrumbs: list[Breadcrumb]
    breadcrumbs_left_out: int
    user: list[Shown]
    tags: list[Shown]
    request: list[Shown]
    request_sections: list[Section]
    curl: str | None
    contexts: list[Section]
    extra: list[Shown]
    modules: list[Shown]
    sdk: str
    receipt: list[dict[str, str]]
    time_corrected: str


def view_of(stored: StoredEvent) -> EventView:
    """Return the view of a stored event."""
    event = stored.event
    exception = event.main_exception
    breadcrumbs = event.breadcrumbs[-MAX_BREADCRUMBS:]
    return EventView(
        type=printable(event.type) if exception else "",
        value=printable((exception.value if exception else event.message) or ""),
        where=_where(newest_own_frame(exception.frames)) if exception else "",
        event=event,
        stacks=_stacks(event, _sources(stored.payload, len(event.exceptions))) or _loose(event),
        breadcrumbs=[_breadcrumb(crumb) for crumb in reversed(breadcrumbs)],
        breadcrumbs_left_out=len(event.breadcrumbs) - len(breadcrumbs),
        user=show_all(event.user),
        tags=show_all(event.tags),
        request=[show(n, event.request[n]) for n in ("method", "url") if event.request.get(n)],
        request_sections=_sections(
            {key: value for key, value in event.request.items() if key not in ("method", "url")}
        ),
        curl=curl_of(event.request),
        contexts=_sections(event.contexts),
        extra=show_all(event.extra),
        modules=sorted(show_all(event.modules, 1000), key=lambda module: module.name.lower()),
        sdk=" ".join(as_text(event.sdk[n]) for n in ("name", "version") if event.sdk.get(n))[:200],
        receipt=list(stored.row.scrubbed),
        time_corrected=time_corrected(stored.row),
    )


def _where(frame: Frame | None) -> str:
    if frame is None:
        return ""
    place = place_of(frame)
    return f"{printable(frame.function)} in {place}" if frame.function else place


def place_of(frame: Frame) -> str:
    """Return a frame's file and line, and the column if the frame has one (minified code)."""
    name = printable(frame.filename or frame.abs_path or frame.module or "?")
    line = _line_number(frame)
    if line is None:
        return name
    column = frame.colno if frame.colno and 0 < frame.colno < MAX_LINE_NUMBER else None
    return f"{name}:{line}" if column is None else f"{name}:{line}:{column}"


def _line_number(frame: Frame) -> int | None:
    return frame.lineno if frame.lineno and 0 < frame.lineno < MAX_LINE_NUMBER else None


# ---- stacks -------------------------------------------------------------------------------------


def _stacks(event: Event, sources: list[str]) -> list[Stack]:
    newest_first = list(reversed(event.exceptions[-MAX_EXCEPTIONS:]))
    budget = MAX_FRAMES
    stacks: list[Stack] = []
    for exception, source in zip(newest_first, reversed(sources[-MAX_EXCEPTIONS:]), strict=True):
        relation = _relation(source) if stacks else ""
        stacks.append(_stack(exception, relation, event.platform, budget))
        budget = max(0, budget - len(exception.frames))
    return stacks


def _loose(event: Event) -> list[Stack]:
    """Return the stack of an event without an exception: that of its thread or its message."""
    if not event.stack:
        return []
    calls = ExceptionValue(None, event.message, None, None, None, event.stack)
    return [replace(_stack(calls, "", event.platform, MAX_FRAMES), type="")]


def _sources(payload: dict[str, Any], count: int) -> list[str]:
    """Return for each exception the attribute of another exception that it was found in."""
    exception = payload.get("exception")
    values = exception.get("values", [exception]) if isinstance(exception, dict) else exception
    found = [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
    mechanisms = [value.get("mechanism") for value in found]
    sources = [as_text(m.get("source") or "") if isinstance(m, dict) else "" for m in mechanisms]
    return sources if len(sources) == count else [""] * count


def _relation(source: str) -> str:
    if source.startswith("exceptions["):
        return "in the group"
    return "raised while handling" if source == "__context__" else "caused by"


def _stack(exception: ExceptionValue, relation: str, platform: str | None, budget: int) -> Stack:
    newest_first = list(reversed(exception.frames))[:budget]
    has_own = any(frame.in_app for frame in newest_first)
    views = [
        _frame(frame, platform, open=frame.in_app or (not has_own and position == 0))
        for position, frame in enumerate(newest_first)
    ]
    return Stack(
        relation=relation,
        type=printable(exception.type or "(no type)"),
        value=printable(exception.value or ""),
        module=printable(exception.module or ""),
        mechanism=printable(exception.mechanism or ""),
        handled=exception.handled,
        parts=list(_parts(views, has_own)),
        left_out=len(exception.frames) - len(newest_first),
    )


def _parts(frames: list[FrameView], has_own: bool) -> Iterator[Part]:
    for in_app, run in groupby(frames, key=lambda frame: frame.in_app):
        together = list(run)
        yield Part(has_own and not in_app and len(together) > 1, together)


def _frame(frame: Frame, platform: str | None, *, open: bool) -> FrameView:
    return FrameView(
        function=printable(frame.function or "?"),
        where=place_of(frame),
        module=printable(frame.module or ""),
        in_app=frame.in_app,
        open=open,
        source=_source(frame, platform),
        variables=show_all(frame.vars, MAX_VARIABLES),
    )


def _source(frame: Frame, platform: str | None) -> Markup:
    if frame.context_line is None:
        return Markup()
    before = frame.pre_context[-MAX_CONTEXT_LINES:]
    after = frame.post_context[:MAX_CONTEXT_LINES]
    source = [printable(line) for line in (*before, frame.context_line, *after)]
    language = language_of(frame.filename or frame.abs_path, platform)
    line = _line_number(frame)
    start = None if line is None else line - len(before)
    return highlight(source, language, start=start, marked=len(before))


# ---- the rest -----------------------------------------------------------------------------------


def _breadcrumb(crumb: dict[str, Any]) -> Breadcrumb:
    return Breadcrumb(
        at=read_time(crumb.get("timestamp")),
        level=read_level(crumb["level"]) if crumb.get("level") else "info",
        category=shorten(as_text(crumb.get("category") or crumb.get("type") or ""), 80),
        message=show("message", crumb.get("message") or ""),
        data=show_all(crumb.get("data"), 50),
    )


def _sections(members: dict[str, Any]) -> list[Section]:
    shown = [Section(as_text(name)[:100], show_all(value)) for name, value in members.items()]
    return [section for section in shown if section.members][:50]


def attachments_shown(described: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the name, type and size of attachments as pages show them."""
    return [_attachment(part) for part in described]


def _attachment(attachment: dict[str, Any]) -> dict[str, Any]:
    return {
        "filename": shorten(as_text(attachment["filename"] or "(no name)"), 120),
        "content_type": shorten(as_text(attachment["content_type"] or "unknown type"), 80),
        "size": attachment["size"],
    }
