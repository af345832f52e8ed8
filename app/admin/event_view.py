"""One event as its page shows it: every size is limited, and every type of value is accepted.

StoredEvent ── EventView ── stacks (newest exception first) ── parts ── frames ── lines of source
                    └────── facts, breadcrumbs, request, contexts … as named texts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
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
# What is shown of a request first.
_HEAD = ("method", "url")


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


class EventView:
    """An event as its pages draw it. Each part is made when a template asks for it."""

    def __init__(self, stored: StoredEvent) -> None:
        self.stored = stored
        self.event = stored.event
        self._exception = stored.event.main_exception

    @property
    def type(self) -> str:
        """The type of the exception, empty for a message."""
        return printable(self.event.type) if self._exception else ""

    @cached_property
    def value(self) -> str:
        """The value of the exception, or the message."""
        shown = self._exception.value if self._exception else self.event.message
        return printable(shown or "")

    @cached_property
    def where(self) -> str:
        """The function, file and line of the newest frame of the program itself."""
        return _where(newest_own_frame(self._exception.frames)) if self._exception else ""

    @cached_property
    def stacks(self) -> list[Stack]:
        """The exceptions, the newest first; without one, the stack of the thread or message."""
        sources = _sources(self.stored.payload, len(self.event.exceptions))
        return _stacks(self.event, sources) or _loose(self.event)

    @cached_property
    def breadcrumbs(self) -> list[Breadcrumb]:
        """The last breadcrumbs, the newest first."""
        return [_breadcrumb(crumb) for crumb in reversed(self.event.breadcrumbs[-MAX_BREADCRUMBS:])]

    @property
    def breadcrumbs_left_out(self) -> int:
        """The number of older breadcrumbs."""
        return max(0, len(self.event.breadcrumbs) - MAX_BREADCRUMBS)

    @cached_property
    def user(self) -> list[Shown]:
        """The user."""
        return show_all(self.event.user)

    @cached_property
    def tags(self) -> list[Shown]:
        """The tags."""
        return show_all(self.event.tags)

    @cached_property
    def request(self) -> list[Shown]:
        """Method and URL of the request."""
        request = self.event.request
        return [show(name, request[name]) for name in _HEAD if request.get(name)]

    @cached_property
    def request_sections(self) -> list[Section]:
        """All else of the request."""
        given = self.event.request.items()
        return _sections({name: value for name, value in given if name not in _HEAD})

    @property
    def curl(self) -> str | None:
        """The request as a command."""
        return curl_of(self.event.request)

    @cached_property
    def contexts(self) -> list[Section]:
        """The contexts."""
        return _sections(self.event.contexts)

    @cached_property
    def extra(self) -> list[Shown]:
        """The extra data."""
        return show_all(self.event.extra)

    @cached_property
    def modules(self) -> list[Shown]:
        """The installed packages, by name."""
        shown = show_all(self.event.modules, 1000)
        return sorted(shown, key=lambda module: module.name.lower())

    @property
    def sdk(self) -> str:
        """Name and version of the SDK."""
        sdk = self.event.sdk
        return " ".join(as_text(sdk[name]) for name in ("name", "version") if sdk.get(name))[:200]

    @property
    def receipt(self) -> list[dict[str, str]]:
        """What was taken out of the event."""
        return list(self.stored.row.scrubbed)

    @property
    def time_corrected(self) -> str:
        """Why the time of the event is not the one that its client sent."""
        return time_corrected(self.stored.row)


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
