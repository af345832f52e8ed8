"""The exceptions of an event with their frames, as its page shows them; every size is limited.

Only the frame that failed is open: the newest one of the application, in the exception that names
the issue. Exceptions that merely wrap that one are folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from app.admin.highlight import highlight
from app.admin.languages import language_of
from app.admin.source_links import source_link
from app.events.places import column_number, line_number, place_of
from app.events.values import Shown, as_text, printable, show_all
from app.protocol.event import Event, ExceptionValue, Frame
from app.protocol.libraries import newest_own_frame

# A payload of the largest size can have many times as much. The raw JSON has all of it.
MAX_EXCEPTIONS = 50
MAX_FRAMES = 250
MAX_VARIABLES = 100
MAX_CONTEXT_LINES = 10
# What is shown of a minified line on either side of its column.
AROUND_COLUMN = 100


@dataclass(frozen=True)
class FrameView:
    """One frame of a stack.

    :param file: the name of its file; empty if it was not sent.
    :param repository: the address of its line in the repository; empty if that is not known.
    :param source: its lines as HTML; empty if they were not sent.
    """

    function: str
    where: str
    file: str
    repository: str
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
    :param wraps: whether it only wraps the exception that names the issue.
    :param left_out: how many frames are not shown.
    """

    relation: str
    type: str
    value: str
    module: str
    mechanism: str
    handled: bool | None
    parts: list[Part]
    wraps: bool
    left_out: int


class Origin(NamedTuple):
    """What all frames of an event have in common: how they are coloured, and where they lead."""

    platform: str | None
    release: str | None
    source_url: str | None


def stacks_of(event: Event, payload: dict[str, Any], source_url: str | None = None) -> list[Stack]:
    """Return the exceptions, the newest first; without one, the stack of the thread or message.

    :param source_url: of the project, see :func:`app.admin.source_links.source_link`.
    """
    origin = Origin(event.platform, event.release, source_url)
    sources = _sources(payload, len(event.exceptions))
    return _stacks(event, sources, origin) or _loose(event, origin)


def _stacks(event: Event, sources: list[str], origin: Origin) -> list[Stack]:
    newest_first = list(reversed(event.exceptions[-MAX_EXCEPTIONS:]))
    budget, wraps = MAX_FRAMES, True
    stacks: list[Stack] = []
    for exception, source in zip(newest_first, reversed(sources[-MAX_EXCEPTIONS:]), strict=True):
        is_main = exception is event.main_exception
        wraps = wraps and not is_main
        stack = _stack(exception, origin, budget, is_main=is_main)
        relation = _relation(source) if stacks else ""
        stacks.append(replace(stack, relation=relation, wraps=wraps))
        budget = max(0, budget - len(exception.frames))
    # The exception that names the issue may be further down than the ones that are shown.
    return [replace(stack, wraps=False) for stack in stacks] if wraps else stacks


def _loose(event: Event, origin: Origin) -> list[Stack]:
    """Return the stack of an event without an exception: that of its thread or its message."""
    if not event.stack:
        return []
    calls = ExceptionValue(None, event.message, None, None, None, event.stack)
    return [replace(_stack(calls, origin, MAX_FRAMES, is_main=True), type="")]


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


def _stack(exception: ExceptionValue, origin: Origin, budget: int, *, is_main: bool) -> Stack:
    newest_first = list(reversed(exception.frames))[:budget]
    failed = newest_own_frame(exception.frames) if is_main else None
    views = [_frame(frame, origin, open=frame is failed) for frame in newest_first]
    has_own = not is_main or any(frame.in_app for frame in newest_first)
    return Stack(
        relation="",
        type=printable(exception.type or "(no type)"),
        value=printable(exception.value or ""),
        module=printable(exception.module or ""),
        mechanism=printable(exception.mechanism or ""),
        handled=exception.handled,
        parts=list(_parts(views, has_own)),
        wraps=False,
        left_out=len(exception.frames) - len(newest_first),
    )


def _parts(frames: list[FrameView], folds_libraries: bool) -> Iterator[Part]:
    for is_folded, run in groupby(frames, key=lambda frame: not (frame.in_app or frame.open)):
        together = list(run)
        yield Part(folds_libraries and is_folded and len(together) > 1, together)


def _frame(frame: Frame, origin: Origin, *, open: bool) -> FrameView:
    return FrameView(
        function=printable(frame.function or "?"),
        where=place_of(frame),
        file=printable(frame.filename or ""),
        repository=source_link(origin.source_url, frame, origin.release),
        in_app=frame.in_app,
        open=open,
        source=_source(frame, origin.platform),
        variables=show_all(frame.vars, MAX_VARIABLES),
    )


def _source(frame: Frame, platform: str | None) -> Markup:
    if frame.context_line is None:
        return Markup()
    before = frame.pre_context[-MAX_CONTEXT_LINES:]
    after = frame.post_context[:MAX_CONTEXT_LINES]
    running = _around_column(frame.context_line, column_number(frame))
    source = [printable(line) for line in (*before, running, *after)]
    language = language_of(frame.filename or frame.abs_path, platform)
    line = line_number(frame)
    start = None if line is None else line - len(before)
    return highlight(source, language, start=start, marked=len(before))


def _around_column(line: str, column: int | None) -> str:
    """Return a long line as what is around a column, the whole line if it is not long."""
    if column is None or len(line) <= 2 * AROUND_COLUMN or column > len(line):
        return line
    first, last = max(0, column - 1 - AROUND_COLUMN), column - 1 + AROUND_COLUMN
    return f"{'…' if first else ''}{line[first:last]}{'…' if last < len(line) else ''}"
