"""Read stacks that were logged as text: the calls, and the line with the error message.

lines ── those that name a call, in the form of some language ── frames, oldest first
      ── the line before or after them ── error message

Grouping uses such a message as text. Similarity uses its calls like the calls from an SDK.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.protocol.stack import Frame, read_stacks

MAX_LINES = 300
MAX_LINE = 500

# Each pattern is tried on one line of bounded length; no repeat is inside another repeat.
_PYTHON = re.compile(
    r'\s{0,80}+File "(?P<file>[^"]{1,300})", line \d+(?:, in (?P<function>.{1,200}))?$'
)
_FORMS = (
    # at total (/srv/shop/cart.js:12:7)   at com.acme.Cart.total(Cart.java:12)   at /srv/cart.js:1:2
    re.compile(
        r"\s{0,80}+at (?=[^\n]{0,500}?[./\\])(?:(?P<function>[^()]{1,200}) ?\()?"
        r"(?P<file>[^()]{1,300}?):\d+(?::\d+)?\)?$"
    ),
    # at Shop.Cart.Total(Int32 id) in C:\src\Cart.cs:line 12   at java.lang.Thread.run(Native)
    re.compile(
        r"\s{0,80}+at (?P<function>[^()\s]{1,200}\.[^()\s.]{1,100})\([^()]{0,200}\)"
        r"(?: in (?P<file>.{1,300}):line \d+)?$"
    ),
    # cart.rb:12:in `total'
    re.compile(
        r"\s{0,80}+(?:\d{1,6}: )?(?:from )?(?P<file>[^:]{1,300}\.rb):\d+:in [`']"
        r"(?P<function>[^'`]{1,200})'"
    ),
    # #0 /srv/shop/Cart.php(12): App\Cart->total()
    re.compile(r"#\d+ (?P<file>[^()]{1,300})\(\d+\): (?P<function>[^()]{1,200})\("),
)
# github.com/acme/shop.(*Cart).Total(0xc000, 0x1), with its file on the next line.
_GO = re.compile(
    r"(?:created by )?(?P<function>[\w./-]{1,200}\.(?:\(\*?\w{1,100}+\)\.)?[\w.]{1,100}+)"
    r"(?:\((?:0x|\{|\.\.\.|\))| in goroutine)"
)
_GO_FILE = re.compile(r"\t\S{1,300}\.go:\d+")
_RUBY_ERROR = re.compile(
    r".{1,300}\.rb:\d+:in [`'][^'`]{1,200}': (?P<said>.{1,400}?)(?: \((?P<type>[\w:]{1,100})\))?$"
)
# Headings between the error and its calls, without information.
_HEADINGS = re.compile(r"(?:stack ?trace|traceback|goroutine \d+|backtrace|call stack|\[)", re.I)
_JVM_FILE = re.compile(r"\w{1,100}\.(?:java|kt|scala|groovy)")


class Traceback(NamedTuple):
    """A stack from a text.

    :param said: the line with the type and the message of the error, as it was logged.
    :param frames: oldest first.
    """

    said: str
    frames: list[Frame]


def read_traceback(text: str) -> Traceback | None:
    """Return the stack in a text, ``None`` if the text has no stack."""
    lines = [line.rstrip()[:MAX_LINE] for line in text.splitlines()[:MAX_LINES]]
    after = [*lines[1:], ""]
    found = [(n, call) for n, line in enumerate(lines) if (call := _call(line, after[n]))]
    if len(lines) < 2 or not found:
        return None
    first, is_python = found[0][0], any("in_python" in call for _, call in found)
    calls = [call for _, call in found]
    said = _after(lines, found[-1][0]) if is_python else _before(lines, first)
    stack = {"stacktrace": {"frames": calls if is_python else calls[::-1]}}
    return Traceback(said, read_stacks(stack).loose)


def _call(line: str, next_line: str) -> dict[str, Any] | None:
    if found := _PYTHON.match(line):
        return {"filename": found["file"], "function": found["function"], "in_python": True}
    for form in (_GO,) if _GO_FILE.match(next_line) else _FORMS:
        if found := form.match(line):
            named = found.groupdict()
            return _named((named["function"] or "").strip(), named.get("file") or "")
    return None


def _named(function: str, file: str) -> dict[str, Any]:
    """Return the frame of a call; split module and function if the language joins them."""
    if not file or _JVM_FILE.fullmatch(file):
        folder, slash, name = function.rpartition("/")
        if "/" in function or function.startswith(
            "main."
        ):  # Go: the package ends at its first dot.
            package, _, name = name.partition(".")
            return {"module": f"{folder}{slash}{package}", "function": name}
        module, _, name = function.rpartition(".")
        return {"module": module, "function": name, "filename": file or None}
    return {"filename": file, "function": function or None}


def _after(lines: list[str], last: int) -> str:
    """Return the first line after the calls that is not indented; source lines are indented."""
    return next((line for line in lines[last + 1 :] if line and not line[0].isspace()), "")


def _before(lines: list[str], first: int) -> str:
    """Return the line above the first call; in Ruby, the message is in the line of that call."""
    if found := _RUBY_ERROR.match(lines[first]):
        return f"{found['type'] or ''}: {found['said']}".lstrip(": ")
    above = [line.strip() for line in lines[:first]]
    said = [line for line in above if line and not _HEADINGS.match(line)]
    return said[-1] if said else ""
