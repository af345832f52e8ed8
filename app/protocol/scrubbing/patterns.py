"""Checks the user's patterns: only patterns whose running time is bounded are compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.protocol.scrubbing.spans import FILTERED, Finder, Span

_PATTERN_PART = re.compile(
    r"""\\(?P<reference>[1-9]) | \\. | \[\^?\]?(?:\\.|[^\]\\]){0,100}+\]
    | (?P<open>\((?P<kind>\?(?:P<\w+>|<?[=!]|[:>]|[a-z]*\)?))?) | (?P<close>\))
    | (?P<many>[*+]|\{\d*,\}) [+?]? | (?P<some>\?|\{(?P<low>\d*),(?P<high>\d+)\}) [+?]? | \{\d+\}
    | (?P<or>\|) | .""",
    re.X | re.S,
)
# The maximum number of ways to match from one position. 256 ways over 1 MB take about a second.
_MAX_WAYS = 256


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Return a user's pattern, compiled, if its running time is linear in the text.

    Only the last part of a pattern may repeat without a bound, because nothing after it can fail
    and cause backtracking. A group may not be repeated. Bounded repeats, optional parts and
    alternatives may multiply to at most 256 ways.

    :raise ValueError: the pattern does not compile, matches the empty string, or could take too
        long.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"scrub pattern {pattern!r} is no regular expression: {error}") from error
    if problem := _problem_of(pattern):
        raise ValueError(f"scrub pattern {pattern!r}: {problem}")
    if compiled.match(""):
        raise ValueError(f"scrub pattern {pattern!r}: expected one that never matches nothing")
    return compiled


def _problem_of(pattern: str) -> str:
    ways, closed, unbounded = 1, False, False
    for part in _PATTERN_PART.finditer(pattern):
        if part["reference"] or (part["kind"] or "").startswith("?P="):
            return "expected no back-references"
        if unbounded and not part["close"]:
            return "expected * + {n,} only at its very end; use a bound, such as {1,64}"
        if closed and (part["many"] or part["some"] or part[0].startswith("{")):
            return "expected no repeated group"
        unbounded = unbounded or bool(part["many"])
        closed = bool(part["close"])
        if part["some"] or part["or"]:
            ways *= 1 + int(part["high"] or 1) - int(part["low"] or 0) if part["some"] else 2
    return "" if ways <= _MAX_WAYS else "expected less alternatives and shorter repeats"


def finder_of(pattern: re.Pattern[str]) -> Finder:
    def find(text: str) -> Iterator[Span]:
        for match in pattern.finditer(text):
            if match.end() > match.start() and match[0] not in FILTERED:
                yield match.span()

    return find
