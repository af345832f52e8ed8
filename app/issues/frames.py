"""The calls of a stack as grouping compares them: names from source code, without generated parts.

frames ── of the application, else all ── stable names ── noise removed ── cycles once ── text
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from app.issues.code_paths import is_nowhere, module_of, path_of, place, stable_module, stable_path
from app.issues.generated import (
    is_nameless,
    is_thunk,
    ungenerated_function,
    ungenerated_module,
    ungenerated_path,
)
from app.issues.names_in_browsers import is_in_browser, is_page_or_script, without_receiver
from app.issues.parametrize import parametrize
from app.protocol.libraries import likely_frames, own_frames
from app.protocol.stack import MAX_PATH, Frame, FrameNames, is_of_application, is_script

# More calls would not explain a key better. The newest calls are nearest to the bug.
MAX_CALLS = 20
MAX_NAME = 300
# The SDKs cut a longer line around the column, and each version cuts it at a different position.
MAX_CONTEXT = 140
# Nobody reads a deeper stack, and the cycle of a recursion is in its newest part.
MAX_FRAMES = 2000

_GENERATED = re.compile(
    r"\$\$Lambda.*?(?=\.|$)"  # Java: Foo$$Lambda$14/0x0800066840.run
    r"|\$\$\w{0,100}(?:Enhancer|FastClass|Proxy)\w*(?:\$\$\w*)*"
    r"|(?<=Accessor)\d+|(?<=Proxy)\d+"
    r"|\${1,3}\d+"  # lambda$main$0, Foo$1.run, fn$123
    r"|(?<=[a-z>|])__\d+(?:_\d+)*|(?<=DisplayClass)\d+(?:_\d+)*"  # C#: <Main>b__0_1
    r"|::h[0-9a-f]{16}$"  # Rust
    r"|(?<=\.func)\d+(?:\.(?:func)?\d+)*|-fm$"  # Go: main.handler.func1.2
    r"|(?<=\{closure):[^{}]{0,300}(?=\})"  # PHP 8.4: {closure:App\run():12}
    r"|(?<=@anonymous).{0,200}?\$[0-9a-f]+|#\d+| ?#\d+(?= in )"
    r"|(?:(?<=lambda)|(?<=closure)|(?<=anonymous)|(?<=anon)|(?<=_callee))"
    r"[_ -]?[0-9a-f]{0,40}\d[0-9a-f]*"
    r"|(?<=-fun)-\d+-?"  # Erlang
    r"| ?\[clone [^\]]{0,200}\]|\.(?:isra|part|constprop|cold|llvm)(?:\.\d+)*"  # C and C++
    r"|0x[0-9a-fA-F]+"
)
# Python's nested functions; Ruby's blocks, which may be nested to any depth.
_OUTER = re.compile(r"^.*<locals>\.|^(?:block \(\d+ levels\) in |(?:block|rescue|ensure) in )+")
# What engines add to a function's name: async, new, [as other], a receiver that is not a class.
_DECORATION = re.compile(r"^(?:async |new )+| \[as [^\]]{0,300}\]$|(?<!/<)(?:/<)++$")
_RECEIVER = re.compile(r"^(?:(?:Object|Module|Function|global|globalThis|window|self|exports)\.)+")
_MINIFIED_RECEIVER = re.compile(r"^(?:[\w$]{1,2}\.)+(?=[\w$]{3}|\d+$)")
_MODULE_WRAPPER = re.compile(r"[./\w@-]{0,300}\.[cm]?[jt]sx?|\d+|[0-9a-f]{4,}")
_MINIFIED = re.compile(r"(?:[\w$]{1,2}\.){0,100}[a-zA-Z_$][\w$]?")

_ANONYMOUS = frozenset(
    "? <anonymous> <unknown> anonymous (anonymous) <compiled> operator()".split()
) | {"<anonymous closure>", "anonymous function", "Anonymous function"}
_ANONYMOUS_SCRIPT = _ANONYMOUS | {"global code", "module code", "eval code", "(anonymous function)"}
_ANONYMOUS_SCRIPT |= frozenset(
    "eval <eval> default unknown null undefined Timeout._onTimeout _onTimeout _callee "
    "Immediate._onImmediate".split()
)
# <lambda>, <module>, {closure}: the name that a language gives to all functions without a name.
_KIND_OF_FUNCTION = re.compile(r"[<{].{0,300}[>}]")
# A comprehension is a separate call only up to Python 3.11.
_COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
# Decorators and transpilers put these between two calls that a person wrote.
_WRAPPERS = frozenset(
    "wrapper _wrapper wrapped _wrapped _wrapped_view wrapped_view inner _inner decorated "
    "decorated_view decorated_function sync_wrapper async_wrapper sentry_wrapped sentryWrapped "
    "__awaiter asyncGeneratorStep _asyncToGenerator _next _throw fulfilled rejected tryCatch "
    "Generator.next Generator.invoke Generator._invoke __webpack_require__ __webpack_exec__ "
    "__require __commonJS __init".split()
)
# In a bundle, Sentry's SDK is marked as part of the application. Its calls differ by version.
_SDK_FUNCTION = re.compile(
    r"(?:\w{1,100}\.){0,20}(?:sentryWrapped|with(?:Isolation)?Scope|withActiveSpan|startSpan(?:Manual)?"
    r"|handleCallbackErrors|suppressTracing|wrap(?:ped)?)\d{0,3}"
)
_OVERFLOWS = frozenset({"RecursionError", "StackOverflowError", "StackOverflowException"})
_OVERFLOWS |= {"java.lang.StackOverflowError", "System.StackOverflowException", "SystemStackError"}
_OVERFLOW_MESSAGES = re.compile(
    r"maximum call stack|too much recursion|stack level too deep|maximum recursion depth"
    r"|stack overflow|maximum function nesting level",
    re.IGNORECASE,
)


# The file of Swift's thunks. They are between two calls that a person wrote.
_COMPILERS_OWN = "<compiler-generated>"


class Call(NamedTuple):
    """A call in a stack.

    :param place: the module of the call, else its file or binary.
    :param function: empty if it has no name.
    """

    place: str
    function: str

    @property
    def is_nameless(self) -> bool:
        """Whether other functions of the same place have the same name, or no name."""
        return not self.function or bool(_KIND_OF_FUNCTION.fullmatch(self.function))

    def __str__(self) -> str:
        return f"{self.place}:{self.function or '<anonymous>'}"


class Names(NamedTuple):
    """How a version of the grouping rules names the calls of a stack.

    :param call: return the call of a frame.
    :param is_told: return whether a frame says where it is.
    :param is_nameless: return whether other functions look like this call.
    :param pick: functions that return the frames of the application, in the order to try them.
    """

    call: Callable[[Frame], Call]
    is_told: Callable[[Frame], bool]
    is_nameless: Callable[[Call, Frame], bool]
    pick: tuple[Callable[[list[Frame]], list[Frame]], ...]


def describe_stack(
    frames: list[Frame], names: Names, *, type: str | None, value: str | None
) -> str | None:
    """Return a stack as one line, ``None`` when no frame says where it is.

    :param frames: oldest call first.
    :param names: the names of the version, :data:`FIRST` or :data:`SECOND`.
    :param type: the type of the exception. Only the cycle of a stack counts if the stack
        overflowed.
    :param value: the message of the exception. It distinguishes functions that have neither a name
        nor source code.
    """
    recent = frames[-MAX_FRAMES:]
    for told in _told(recent, names):
        calls = [names.call(frame) for frame in told]
        if _is_overflow(type, value) and (cycle := _cycle(calls)):
            return " > ".join(map(str, cycle)) + " > …"
        kept = [index for index in range(len(calls)) if not _is_noise(calls, index)]
        if kept:
            last = told[kept[-1]]
            line = _line([calls[index] for index in kept])
            is_alone = not names.is_nameless(calls[kept[-1]], last)
            return line if is_alone else f"{line} {_detail(last, value)}".rstrip()
    return None


def _told(frames: list[Frame], names: Names) -> Iterator[list[Frame]]:
    """Yield the frames that say where they are: first those of the application, then all."""
    for pick in names.pick:
        if told := [frame for frame in pick(frames) if names.is_told(frame)]:
            yield told
    yield [frame for frame in frames if names.is_told(frame)]


def crash_call(frames: list[Frame]) -> Call | None:
    """Return the newest call of the application, else the newest call of the stack."""
    told = [frame for frame in frames if not is_nowhere(frame)]
    own = [frame for frame in told if is_of_application(frame)]
    return _call((own or told)[-1]) if told else None


def own_calls(frames: list[Frame], is_foreign: Callable[[str], bool]) -> list[Call]:
    """Return the calls of the application that a person wrote, newest first.

    :param is_foreign: return whether the call at a place is not the application's. It is used if
        the client marks all frames or no frames as the application's. If all calls are foreign,
        all of them are returned.
    """
    recent = [frame for frame in frames[-MAX_FRAMES:] if not is_nowhere(frame)]
    own = [frame for frame in recent if is_of_application(frame)]
    calls = [_call(frame) for frame in own or recent]
    if len(calls) == len(recent):
        calls = [call for call in calls if not is_foreign(call.place)] or calls
    kept = [calls[index] for index in range(len(calls)) if not _is_noise(calls, index)]
    return kept[::-1]


@lru_cache(maxsize=8192)
def stable_function(name: str, is_script: bool) -> str:
    """Return a function's name without the numbers of compilers, empty if it has no name.

    :param is_script: whether it is JavaScript, where names of one or two letters are minified.
    """
    name = _OUTER.sub("", name.strip())
    if not is_script:
        name = _GENERATED.sub("", name)
        return "" if name in _ANONYMOUS else name
    name = _MINIFIED_RECEIVER.sub("", _RECEIVER.sub("", _DECORATION.sub("", name)))
    if name.endswith(".<anonymous>"):
        return ""
    name = _GENERATED.sub("", name).rstrip("$")
    return "" if name in _ANONYMOUS_SCRIPT or _has_no_name(name) else name


def _has_no_name(name: str) -> bool:
    return bool(_MINIFIED.fullmatch(name) or _MODULE_WRAPPER.fullmatch(name))


def _call(frame: Frame) -> Call:
    name = (frame.function or "")[:MAX_NAME]
    return Call(place(frame), stable_function(name, is_script(frame)))


def _second_call(frame: Frame) -> Call:
    if frame.located is None:
        return _call_of(frame.names)
    call = _call_of(frame.names, (frame.image or "")[:MAX_PATH])
    if not call.function and not frame.filename:
        return Call(call.place, f"+{frame.image_offset:#x}")
    return call


@lru_cache(maxsize=4096)
def _call_of(names: FrameNames, image: str = "") -> Call:
    is_script = is_page_or_script(names)
    function = _second_function((names.function or "")[:MAX_NAME], is_script)
    if is_in_browser(names):
        function = without_receiver(function)
    if module := module_of(names):
        return Call(_second_module(module, is_script), function)
    return Call(_second_path(path_of(names) or image or "?"), function)


@lru_cache(maxsize=8192)
def _second_function(name: str, is_script: bool) -> str:
    return stable_function(ungenerated_function(name, is_script), is_script)


@lru_cache(maxsize=4096)
def _second_module(module: str, is_script: bool) -> str:
    return stable_module(ungenerated_module(module, is_script))


@lru_cache(maxsize=4096)
def _second_path(path: str) -> str:
    return stable_path(ungenerated_path(path))


def _is_noise(calls: list[Call], index: int) -> bool:
    call = calls[index]
    if call.function in _COMPREHENSIONS:
        return index > 0 and calls[index - 1].place == call.place
    is_wrapper = call.function in _WRAPPERS or _SDK_FUNCTION.fullmatch(call.function)
    return bool(is_wrapper) and index < len(calls) - 1


def _line(calls: list[Call]) -> str:
    """Return every call once, in the order of its first occurrence, with the newest call last.

    A recursion is the same bug, whatever its depth and its path.
    """
    callers = [call for call in dict.fromkeys(calls) if call != calls[-1]]
    return " > ".join([*map(str, callers[1 - MAX_CALLS :]), str(calls[-1])])


def _detail(frame: Frame, value: str | None) -> str:
    """Return text that distinguishes functions without a name: the source, else the message."""
    source = " ".join((frame.context_line or "")[: MAX_CONTEXT * 2].split())
    if source and len(source) <= MAX_CONTEXT and "{snip}" not in source:
        return f"«{source}»"
    message = parametrize(value or "")
    return f"saying {message}" if message else ""


def _is_overflow(type: str | None, value: str | None) -> bool:
    return type in _OVERFLOWS or bool(_OVERFLOW_MESSAGES.search((value or "")[:200]))


def _cycle(calls: list[Call]) -> list[Call]:
    """Return the repeated calls, sorted: the call at which a stack overflows is random."""
    times = Counter(calls)
    return sorted(call for call in times if times[call] > 1)[:MAX_CALLS]


def _is_of_application(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if is_of_application(frame)]


def _says_where(frame: Frame) -> bool:
    """Return whether a person wrote the call of a frame, and the frame says which call it is."""
    return _is_written(frame.names, frame.image_offset is not None)


@lru_cache(maxsize=4096)
def _is_written(names: FrameNames, has_offset: bool) -> bool:
    if names.filename == _COMPILERS_OWN or is_thunk((names.function or "")[:MAX_NAME]):
        return False
    return has_offset or not is_nowhere(names)


def _looks_like_others(call: Call, frame: Frame) -> bool:
    """Return whether other bugs end in this call, too.

    All errors that React caught do: its own calls are the last ones that the browser knows.
    """
    if is_nameless(call.function, module_of(frame.names)):
        return True
    return is_page_or_script(frame.names) and not likely_frames([frame])


# Version 1 stays as it was. Version 2 removes more generated parts. It identifies instructions
# without a symbol by their offset, and all lambdas and closures by their source or message.
FIRST = Names(
    _call,
    lambda frame: not is_nowhere(frame),
    lambda call, _: call.is_nameless,
    (_is_of_application,),
)
SECOND = Names(_second_call, _says_where, _looks_like_others, (own_frames, likely_frames))
