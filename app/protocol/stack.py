"""Stacks: the frames that led to an error, and the exceptions that have them.

payload ── exception{values} ─┐
        ── threads ───────────┼── exceptions, cause first, each with its frames
        ── stacktrace ────────┘   else the frames of the event itself
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from app.protocol.images import Images, Located, read_images
from app.protocol.lenient import (
    clean_text,
    read_anything,
    read_dict,
    read_int,
    read_list,
    read_pairs,
    read_text,
    read_values,
)

# The folders where package managers and runtimes put libraries. Matched against paths in lower case
# with forward slashes.
_LIBRARY_PATH = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|node_modules|bower_components|vendor|gems|\.cargo"
    r"|\.rustup|\.m2|\.nuget|go/pkg/mod)/"
    r"|(?:^|/)lib(?:64)?/(?:python\d(?:\.\d+)?|ruby)/"
    r"|^(?:node:|internal/|<frozen |/rustc/|\[native code\]|native$|<anonymous>$|webpack/bootstrap)"
    r"|^(?:/usr)?/lib(?:64|32)?/|^/system/library/|/usr/local/go/src/|^[a-z]:/windows/"
)
_LIBRARY_MODULE = re.compile(
    r"(?:javax?|jdk|sun|com\.sun|kotlinx?|scala|android|androidx|dalvik|org\.springframework"
    r"|org\.apache|org\.hibernate|io\.netty|system|microsoft|runtime|importlib|threading"
    r"|concurrent\.futures|asyncio)(?:[._$]|$)"
)


SCRIPT_FILE = re.compile(r"\.(?:[cm]?[jt]sx?|vue|svelte|jsbundle|bundle)$", re.IGNORECASE)
# Browser SDKs mark all frames as in-app, even those in the library files of a bundler.
_VENDOR_FILE = re.compile(
    r"/node_modules/|(?:^|[/~.-])(?:vendors?|polyfills?|zone|jquery|react-dom)(?=[~.-])[\w~.-]{0,200}\.js"
    r"|(?:^|/)(?:framework|runtime|webpack)(?:~main)?[.-][0-9a-f]{8,}\.js"
)
# Only this many characters of a path are read.
MAX_PATH = 1000


def _line(value: object) -> str | None:
    # The Ruby SDK sends each line with its line end.
    return clean_text(value).rstrip("\r\n") if isinstance(value, str) else None


def _lines(value: object) -> list[str]:
    return [_line(line) or "" for line in read_list(value)]


Read = TypeVar("Read")


class FrameNames(NamedTuple):
    """The names of a frame, each cut at :data:`MAX_PATH` characters; a call is known by them.

    Nearly all frames come again with the next event, so what the names decide is remembered.
    """

    function: str | None
    module: str | None
    filename: str | None
    abs_path: str | None
    package: str | None


_NAMES = FrameNames._fields


def _names(raw: dict[str, Any]) -> FrameNames:
    read = (read_text(raw.get(name)) for name in _NAMES)
    return FrameNames(*[text and text[:MAX_PATH] for text in read])


class _Field(Generic[Read]):
    """A field of a frame, read from the payload when it is first needed, and then kept.

    :param read: return the value.
    :param key: its key in the payload; without a key, ``read`` gets the whole frame.
    """

    def __init__(self, read: Callable[[Any], Read], key: str | None = None) -> None:
        self._read, self._key = read, key

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, frame: Frame, owner: type) -> Read:
        given = frame.raw if self._key is None else frame.raw.get(self._key)
        # This object has no __set__, so Python finds the value here before it calls __get__.
        value = frame.__dict__[self._name] = self._read(given)
        return value


class Frame:
    """A frame of a stack, with the source lines around it if the client sent them.

    A stack has up to hundreds of frames, and an event is grouped by few of them.

    :param raw: the frame in the payload.
    :param in_app: whether it is a frame of the application.
    :param located: the binary with the instruction, for a frame without a symbol.
    """

    function = _Field(read_text, "function")
    module = _Field(read_text, "module")
    filename = _Field(read_text, "filename")
    abs_path = _Field(read_text, "abs_path")
    lineno = _Field(read_int, "lineno")
    colno = _Field(read_int, "colno")
    context_line = _Field(_line, "context_line")
    pre_context = _Field(_lines, "pre_context")
    post_context = _Field(_lines, "post_context")
    vars = _Field(read_pairs, "vars")
    package = _Field(read_text, "package")

    names = _Field(_names)

    def __init__(self, raw: dict[str, Any], in_app: bool, located: Located | None = None) -> None:
        self.raw = raw
        self.in_app = in_app
        self.located = located

    @property
    def image(self) -> str | None:
        """The file of the binary with the instruction."""
        return self.located and self.located.file

    @property
    def image_offset(self) -> int | None:
        """The offset of the instruction from the start of the binary, in bytes."""
        return self.located and self.located.offset

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        same = self.in_app == other.in_app and self.located == other.located
        return same and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class ExceptionValue:
    """An exception of a chain; ``frames`` has the oldest call first.

    :param exception_id: with ``parent_id``, the place in a tree, if the client sends it.
    :param source: the attribute of the parent with this exception: ``__cause__``,
        ``exceptions[0]`` …
    :param is_synthetic: whether the client created it only to have a stack; nothing was raised.
    :param error_code: the code of Apple's ``NSError``, whose type is only the domain of the error.
    """

    type: str | None
    value: str | None
    module: str | None
    mechanism: str | None
    handled: bool | None
    frames: list[Frame]
    exception_id: int | None = None
    parent_id: int | None = None
    source: str | None = None
    is_exception_group: bool = False
    is_synthetic: bool = False
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Stacks:
    """The exceptions and frames of a payload.

    :param loose: the frames of an event without exceptions.
    """

    exceptions: list[ExceptionValue] = field(default_factory=list)
    loose: list[Frame] = field(default_factory=list)


# What only names decide is decided for a frame and for its names alone.
Named = Frame | FrameNames


def is_script(frame: Named) -> bool:
    """Return whether a frame is JavaScript, where bundlers rename files and functions."""
    return _kind_of_file((frame.filename or frame.abs_path or "")[:MAX_PATH])[0]


def is_of_application(frame: Frame) -> bool:
    """Return whether a frame is in-app and not in the library file of a bundler."""
    return frame.in_app and not is_in_vendor_file(frame)


def is_in_vendor_file(frame: Named) -> bool:
    """Return whether a frame is in a file into which a bundler put libraries."""
    return _kind_of_file((frame.filename or frame.abs_path or "")[:MAX_PATH])[1]


@lru_cache(maxsize=4096)
def _kind_of_file(path: str) -> tuple[bool, bool]:
    """Return whether a file is a script, and whether a bundler put libraries into it."""
    is_script = bool(SCRIPT_FILE.search(path.partition("?")[0]))
    return is_script, is_script and bool(_VENDOR_FILE.search(path))


def top_frame(frames: list[Frame]) -> Frame | None:
    """Return the newest in-app frame, or else the newest frame of all."""
    candidates = [frame for frame in frames if frame.in_app] or frames
    return candidates[-1] if candidates else None


def read_stacks(payload: dict[str, Any]) -> Stacks:
    """Return the exceptions of a payload, or its frames if it has no exceptions.

    If the last exception has no stack, it gets the stack of the payload, or of the crashed thread,
    or of the current thread. Native clients send stacks in this way.
    """
    given = payload.get("exception") or payload.get("sentry.interfaces.Exception")
    values = [{"value": given}] if isinstance(given, str) else read_values(given)
    images = read_images(payload.get("debug_meta"))
    exceptions = [_exception(value, images) for value in values]
    if exceptions and exceptions[-1].frames:
        return Stacks(exceptions)
    loose = _loose_frames(payload, images)
    if not exceptions or not loose:
        return Stacks(exceptions, loose)
    return Stacks([*exceptions[:-1], replace(exceptions[-1], frames=loose)])


def _loose_frames(payload: dict[str, Any], images: Images) -> list[Frame]:
    own = payload.get("stacktrace") or payload.get("sentry.interfaces.Stacktrace")
    if frames := _frames(own, images):
        return frames
    threads = read_values(payload.get("threads") or payload.get("sentry.interfaces.Threads"))
    with_stack = [thread for thread in threads if _raw_frames(thread.get("stacktrace"))]
    if not with_stack:
        return []
    thread = next(
        (
            thread
            for flag in ("crashed", "current", "main")
            for thread in with_stack
            if thread.get(flag)
        ),
        with_stack[0] if len(with_stack) == 1 else {},
    )
    return _frames(thread.get("stacktrace"), images)


def _exception(value: dict[str, Any], images: Images) -> ExceptionValue:
    mechanism = read_dict(value.get("mechanism"))
    ns_error = read_dict(read_dict(mechanism.get("meta")).get("ns_error"))
    handled = mechanism.get("handled")
    return ExceptionValue(
        type=read_text(value.get("type")),
        value=read_anything(value.get("value")),
        module=read_text(value.get("module")),
        mechanism=read_text(mechanism.get("type")),
        handled=handled if isinstance(handled, bool) else None,
        frames=_frames(value.get("stacktrace"), images)
        or _frames(value.get("raw_stacktrace"), images),
        exception_id=read_int(mechanism.get("exception_id")),
        parent_id=read_int(mechanism.get("parent_id")),
        source=read_text(mechanism.get("source")),
        is_exception_group=mechanism.get("is_exception_group") is True,
        is_synthetic=mechanism.get("synthetic") is True,
        error_code=read_int(ns_error.get("code")),
    )


def _raw_frames(stack: object) -> list[dict[str, Any]]:
    frames = read_list(read_dict(stack).get("frames"))
    return [frame for frame in frames if isinstance(frame, dict)]


def _frames(stack: object, images: Images) -> list[Frame]:
    raw = _raw_frames(stack)
    # A client that marks one frame as in-app has also decided about all other frames.
    is_marked = any(frame.get("in_app") is True for frame in raw)
    return [_frame(frame, is_marked, images) for frame in raw]


def _frame(frame: dict[str, Any], is_marked: bool, images: Images) -> Frame:
    in_app = frame.get("in_app")
    return Frame(
        frame,
        in_app is True or (not is_marked and in_app is not False and _is_own(frame)),
        images.locate(frame) if "instruction_addr" in frame else None,
    )


def is_in_library(module: object, path: object) -> bool:
    """Return whether the module or the path is one of a known library."""
    return _is_in_library(
        module[:200] if isinstance(module, str) else "",
        path[:MAX_PATH] if isinstance(path, str) else "",
    )


@lru_cache(maxsize=4096)
def _is_in_library(module: str, path: str) -> bool:
    return bool(
        _LIBRARY_MODULE.match(module.lower())
        or _LIBRARY_PATH.search(path.replace("\\", "/").lower())
    )


def _is_own(frame: dict[str, Any]) -> bool:
    """Return whether a frame seems to be in-app, for a client that did not mark it."""
    module = frame.get("module")
    path = frame.get("abs_path") or frame.get("filename") or frame.get("package")
    if is_in_library(module, path):
        return False
    return isinstance(path, str) or bool(module or frame.get("function"))
