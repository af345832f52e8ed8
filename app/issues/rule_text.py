"""Read and write rules as text, in Sentry's notation.

error.type:TimeoutError message:"*pool*" -> timeout-{{ transaction }}
path:*/vendor/* !level:fatal

RuleTextError(ValueError)   the text is not a rule; says where, and what was expected
"""

from __future__ import annotations

import re
from typing import NamedTuple

from app.issues.rules import FIELDS, MAX_PATTERN, Kind, Matcher, Rule

MAX_TEXT = 2000
MAX_MATCHERS = 20
MAX_PARTS = 20
# Sentry's names of the same fields.
_ALIASES = {
    "error.type": "type",
    "value": "message",
    "error.value": "message",
    "stack.abs_path": "path",
    "stack.module": "module",
    "stack.function": "function",
}
_SPACE = re.compile(r"\s*")
_ARROW = re.compile(r"->")
_KEY = re.compile(r"[a-zA-Z_][\w.-]{0,99}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r"[^\s\"]+")
_PART = re.compile(r"(?:\{\{[^{}]*\}\}|(?!->)[^\s,\"])+")
_ESCAPED = re.compile(r'\\(["\\])')


class RuleTextError(ValueError):
    """The text is not a rule.

    :param position: the number of characters before the error.
    :param expected: what should be at this position.
    """

    def __init__(self, position: int, expected: str) -> None:
        super().__init__(f"at character {position + 1}: expected {expected}")
        self.position = position
        self.expected = expected


class _Found(NamedTuple):
    text: str
    end: int


def parse_rule(text: str, *, kind: Kind, id: int = 0, name: str = "") -> Rule:
    """Return the rule that a text describes.

    :param text: matchers ``[!]field:pattern``, separated by spaces. A fingerprint rule then has
        ``->`` and the parts of the fingerprint. Text with spaces is in double quotes; a quote
        inside is written ``\\"``.
    :param name: the name to show; if empty, the text is shown.
    :raise RuleTextError: the text is not a rule of this kind.
    """
    if len(text) > MAX_TEXT:
        raise RuleTextError(MAX_TEXT, f"at most {MAX_TEXT} characters")
    matchers, position = _matchers(text, kind)
    fingerprint = _parts(text, position) if kind == "fingerprint" else []
    return Rule(id, kind, name.strip() or text.strip(), matchers, fingerprint)


def format_rule(rule: Rule) -> str:
    """Return a rule as text; :func:`parse_rule` returns the same rule for it."""
    words = [
        f"{'!' if matcher.negate else ''}{_field_text(matcher)}:{_quoted(matcher.pattern)}"
        for matcher in rule.matchers
    ]
    if rule.kind == "fingerprint":
        words += ["->", ", ".join(_quoted(part) for part in rule.fingerprint)]
    return " ".join(words)


def _matchers(text: str, kind: Kind) -> tuple[list[Matcher], int]:
    matchers: list[Matcher] = []
    position = _skip(text, 0)
    while position < len(text) and not _ARROW.match(text, position):
        if len(matchers) == MAX_MATCHERS:
            raise RuleTextError(position, f"at most {MAX_MATCHERS} conditions")
        matcher, position = _matcher(text, position)
        matchers.append(matcher)
        position = _skip(text, position)
    if not matchers:
        raise RuleTextError(position, 'a condition such as type:TimeoutError or path:"*/vendor/*"')
    if kind == "fingerprint" and position == len(text):
        raise RuleTextError(position, "another condition, or -> and the fingerprint")
    if kind == "ignore" and position < len(text):
        raise RuleTextError(position, "nothing more: an ignore rule has no fingerprint")
    return matchers, position


def _matcher(text: str, start: int) -> tuple[Matcher, int]:
    negate = text.startswith("!", start)
    position = start + negate
    key = _KEY.match(text, position)
    if key is None:
        raise RuleTextError(position, f"a field: {', '.join(FIELDS[:-1])} or tags.<name>")
    field, tag = _field(key[0], position)
    if not text.startswith(":", key.end()):
        raise RuleTextError(key.end(), f"a colon and a pattern after {key[0]}")
    pattern = _pattern(text, key.end() + 1)
    return Matcher(field, pattern.text, tag, negate), pattern.end


def _field(key: str, position: int) -> tuple[str, str | None]:
    if key.startswith("tags.") and len(key) > 5:
        return "tag", key[5:]
    field = _ALIASES.get(key, key)
    if field not in FIELDS or field == "tag":
        raise RuleTextError(position, f"a field: {', '.join(FIELDS[:-1])} or tags.<name>")
    return field, None


def _pattern(text: str, position: int) -> _Found:
    found = _text(text, position, _BARE)
    if found is None or not found.text:
        raise RuleTextError(position, "a pattern")
    if len(found.text) > MAX_PATTERN:
        raise RuleTextError(position, f"a pattern of at most {MAX_PATTERN} characters")
    return found


def _parts(text: str, arrow: int) -> list[str]:
    parts: list[str] = []
    position = _skip(text, arrow + 2)
    while position < len(text):
        found = _text(text, position, _PART)
        if found is None or not found.text.strip() or len(parts) == MAX_PARTS:
            raise RuleTextError(position, f"a part of the fingerprint, at most {MAX_PARTS} of them")
        parts.append(found.text)
        position = _skip(text, found.end)
        if text.startswith(",", position):
            position = _skip(text, position + 1)
    if not parts:
        raise RuleTextError(position, "a fingerprint such as timeout-{{ transaction }}")
    return parts


def _text(text: str, position: int, bare: re.Pattern[str]) -> _Found | None:
    if text.startswith('"', position):
        quoted = _QUOTED.match(text, position)
        if quoted is None:
            raise RuleTextError(len(text), 'a closing "')
        return _Found(_ESCAPED.sub(r"\1", quoted[1]), quoted.end())
    found = bare.match(text, position)
    return _Found(found[0], found.end()) if found else None


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _field_text(matcher: Matcher) -> str:
    return f"tags.{matcher.key}" if matcher.field == "tag" else matcher.field


def _quoted(text: str) -> str:
    if text and not re.search(r'[\s",\\]|->', text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
