"""Hints: which rules may match a string, from a few searches over all new strings at once.

This module knows no single kinds of secrets. It builds the searches from the entries of
:data:`app.protocol.scrubbing.registry.RULES`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from app.protocol.scrubbing.names import MARKS
from app.protocol.scrubbing.registry import RULES

_SEPARATOR = "\0"
# A search that begins with rare characters skips all others in C. Short anchors with a rare
# character are searched for all at once and backwards, because the rare character is mostly at
# their end. All other anchors are searched for one by one, which is fast for long anchors.
_RARE = "_-zKGICJ.3"
_MAX_SHORT = 20
# Keys are not shorter than this.
_MIN_TOKEN = 12
# This many characters of a name are read.
_MAX_NAME = 100


def _is_short(anchor: str) -> bool:
    return anchor != "--" and len(anchor) <= _MAX_SHORT and bool(_pivot(anchor))


def _pivot(anchor: str) -> str:
    return next((char for char in _RARE if char in anchor), "")


_ANCHORS: dict[str, list[int]] = {}
for _number, _rule in enumerate(RULES):
    for _anchor in _rule.anchors:
        _ANCHORS.setdefault(_anchor, []).append(_number)
_NAMED = tuple(number for number, rule in enumerate(RULES) if rule.is_named)
_BEFORE = [(number, rule.before) for number, rule in enumerate(RULES) if rule.before]
# The last member says whether source lines are searched, too.
_LITERALS = [
    (anchor, tuple(numbers), any(RULES[number].in_code for number in numbers))
    for anchor, numbers in _ANCHORS.items()
    if not _is_short(anchor)
]
_SEARCHES: dict[re.Pattern[str], list[int]] = {}
for _number, _rule in enumerate(RULES):
    for _hint in _rule.hints:
        _SEARCHES.setdefault(_hint, []).append(_number)


# Numbers of rules, for a text and for a source line.
Hinted = tuple[tuple[int, ...], tuple[int, ...]]


def _hinted(numbers: Iterable[int]) -> Hinted:
    numbers = tuple(numbers)
    return numbers, tuple(number for number in numbers if RULES[number].in_code)


def rules_of_name(name: str, is_secret: bool, is_half: bool) -> Hinted:
    """Return the rules that may match a string with this name before a separator.

    :param is_secret: whether the name is secret.
    :param is_half: whether the name may be secret together with the word before it.
    """
    named = _NAMED if is_secret or is_half else ()
    found = [number for number, before in _BEFORE if before.fullmatch(name)]
    if len(name) >= _MIN_TOKEN:  # "ghp_...: revoked"
        found += [
            number
            for anchor, rules in _ANCHORS.items()
            if anchor in name or (len(name) >= _MAX_NAME and _is_cut(anchor, name))
            for number in rules
        ]
    numbers, in_code = _hinted((*named, *found))
    return numbers, () if is_half else in_code


def _is_cut(anchor: str, name: str) -> bool:
    """Return whether a name that was cut at its maximum length begins with the end of an anchor."""
    return any(name.startswith(anchor[at:]) for at in range(1, len(anchor)))


def _parts(anchor: str) -> tuple[str, str]:
    """Split an anchor after its rare character: the first part reversed, and the second part."""
    at = anchor.rindex(_pivot(anchor)) + 1
    return anchor[:at][::-1], anchor[at:]


_SHORT: list[tuple[str, str, tuple[int, ...]]] = [
    (*_parts(anchor), tuple(rules)) for anchor, rules in _ANCHORS.items() if _is_short(anchor)
]
# The rules for each text that the backward search reads of an anchor.
_BY_TEXT: dict[str, Hinted] = {
    whole: _hinted(
        number for text, _, rules in _SHORT if whole.startswith(text) for number in rules
    )
    for whole, _, _ in _SHORT
}


def _tree(texts: Iterable[str]) -> str:
    """Return an expression that matches any of these texts, the longest one first."""
    members: dict[str, list[str]] = {}
    for text in texts:
        members.setdefault(text[:1], []).append(text[1:])
    is_optional = members.pop("", None) is not None
    if not members:
        return ""
    branches = [re.escape(first) + _tree(rest) for first, rest in sorted(members.items())]
    body = branches[0] if len(branches) == 1 and not is_optional else f"(?:{'|'.join(branches)})"
    return f"{body}?+" if is_optional else body


def _branches() -> Iterator[str]:
    """Yield, for each rare character, an expression for the texts before and after it."""
    for pivot in _RARE:
        parts = [(text[1:], follows) for text, follows, _ in _SHORT if text[0] == pivot]
        tree = _tree({text for text, follows in parts if not follows})
        parts.sort(key=lambda part: (-len(part[0]), part))
        behind = [f"{re.escape(t)}(?<={re.escape(f[::-1] + pivot + t)})" for t, f in parts if f]
        yield f"{re.escape(pivot)}(?:{'|'.join(filter(None, (*behind, tree)))})"


# The characters that close a name, and the name: in a pair, in ('Cookie', 'a=b'), and in "token 'x'
# rejected". For a pair without a name, the run of characters is skipped; else it would cost n².
_PAIR = r"[\s\"'`\\\])!:=>\[0-9]*+(?:;(?:touq|sopa|43#|93#|72x#)&|u\\++)?+([\w.-]{1,100}+\\?)?+"
_IN_LIST = r"[\"'`]([\w.-]{1,100}+\\?)"
_IN_SENTENCE = r"[ (]{1,2}+(?:si[ ]|saw[ ]|tsi[ ])?+([\w.-]{1,100}+)"


def _backwards(separators: str, marks: str = "") -> re.Pattern[str]:
    """Return the backward search: separators are rare, and the name is before its separator.

    It takes a third of the time of a search for thirty words. Each branch begins with a single
    character: `re` then skips to these characters in C, and does not try the other branches.
    """
    pair = _PAIR.replace(r"[\w.-]", rf"[\w.{marks}-]")
    branches = [char + pair for char in separators]
    branches += ["," + _IN_LIST, *(quote + _IN_SENTENCE for quote in "\"'`")]
    return re.compile("|".join((*branches, r"%(?<=[0-9A-Fa-f]{2}%)", *_branches())))


_BACKWARDS = _backwards(":=>")
# For texts beyond ASCII; it is slower. Only such texts have full-width separators.
_BACKWARDS_WIDE = _backwards(":=>：＝", MARKS)


class Hints:
    """Searches strings for hints.

    :param texts: the strings; source lines come after all others.
    :param code_from: the number of the first source line.
    :param names: the rules for a name, by the reversed name.
    :param judge: returns the rules for a reversed name that is not in ``names``.
    """

    def __init__(
        self,
        texts: list[str],
        code_from: int,
        names: dict[str, Hinted],
        judge: Callable[[str], Hinted],
    ) -> None:
        self._joined = _SEPARATOR.join(texts)
        # One position more than there are strings: the end of the last string.
        self._starts = [0, *accumulate(len(text) + 1 for text in texts)]
        self._code_from = self._starts[code_from]
        self._names = names
        self._judge = judge

    def found(self) -> Iterator[tuple[int, Iterable[int]]]:
        """Yield the number of a string, and the rules that may match it."""
        starts = self._starts
        for position, rules in self._marks():
            yield bisect_right(starts, position) - 1, rules

    def _marks(self) -> Iterator[tuple[int, Iterable[int]]]:
        joined, starts = self._joined, self._starts
        yield from self._marks_backwards()
        for literal, numbers, in_code in _LITERALS:
            end = len(joined) if in_code else self._code_from
            position = joined.find(literal, 0, end)
            while position >= 0:
                yield position, numbers
                # One hint for each string is enough; continue after its end.
                position = joined.find(literal, starts[bisect_right(starts, position)], end)
        for search, rules in _SEARCHES.items():
            in_code = any(RULES[number].in_code for number in rules)
            for match in search.finditer(joined, 0, len(joined) if in_code else self._code_from):
                yield match.start(), rules

    def _marks_backwards(self) -> Iterator[tuple[int, Iterable[int]]]:
        last, names = len(self._joined) - 1, self._names
        search = _BACKWARDS if self._joined.isascii() else _BACKWARDS_WIDE
        for match in search.finditer(self._joined[::-1]):
            if not match.lastindex:
                found = match[0]
                if found in _BY_TEXT:
                    position = last - match.start()
                    if rules := _BY_TEXT[found][position >= self._code_from]:
                        yield position, rules
                elif found == "%":
                    yield last - match.start(), _NAMED
                continue
            name = match[match.lastindex]
            hinted = names.get(name)
            if hinted is None:
                hinted = self._judge(name)
            position = last - match.start()
            if rules := hinted[position >= self._code_from]:
                yield position, rules
