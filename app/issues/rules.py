"""The user's rules: they give a fingerprint to events, or ignore them.

A rule is only data here. Other modules store it (``rulebook.py``), read it from text
(``rule_text.py``) and ignore the events.

Source of the terms: https://docs.sentry.io/concepts/data-management/event-grouping/
fingerprint-rules/ (Matchers), 2026-11-24.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from app.issues.rule_subject import FIELDS, FRAME_FIELDS, Subject
from app.protocol.event import Event

__all__ = ["FIELDS", "MAX_PATTERN", "Kind", "Matcher", "Outcome", "Rule", "apply_rules", "matches"]

Kind = Literal["fingerprint", "ignore"]
MAX_PATTERN = 200
_WILDCARDS = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition of a rule.

    :param field: one of :data:`FIELDS`.
    :param pattern: a glob: ``*`` matches any text and ``?`` one character, in upper or lower case;
        at most :data:`MAX_PATTERN` characters.
    :param key: the name of the tag, for the field ``tag``.
    :param negate: the condition is true if no value matches.
    :raise ValueError: the pattern is too long. It is not cut, because a cut pattern could match
        other values.
    """

    field: str
    pattern: str
    key: str | None = None
    negate: bool = False

    def __post_init__(self) -> None:
        if len(self.pattern) > MAX_PATTERN:
            raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")

    @property
    def glob(self) -> str:
        """The pattern for comparison with values: in lower case, and paths with forward slashes."""
        pattern = self.pattern.lower()
        return pattern.replace("\\", "/") if self.field == "path" else pattern

    def matches(self, value: str) -> bool:
        """Return whether a value matches the pattern; ``negate`` is not applied.

        :param value: in lower case.
        """
        return _compiled(self.glob).match(value) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with events that all matchers match; a rule without matchers matches no event."""

    id: int
    kind: Kind
    name: str
    matchers: list[Matcher]
    fingerprint: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rules that apply to an event.

    :param rule: the first fingerprint rule that matched.
    :param ignored_by: the first ignore rule that matched.
    """

    rule: Rule | None = None
    ignored_by: Rule | None = None


def apply_rules(event: Event, rules: Sequence[Rule]) -> Outcome:
    """Return the rules that apply to an event: the first matching rule of each kind."""
    subject = Subject(event)
    return Outcome(
        rule=_first(subject, (rule for rule in rules if rule.kind == "fingerprint")),
        ignored_by=_first(subject, (rule for rule in rules if rule.kind == "ignore")),
    )


def matches(rule: Rule, event: Event) -> bool:
    """Return whether all matchers of a rule match an event.

    Matchers of path, module and function must all match the same frame. It can be any frame of the
    event. A negated matcher must not match any frame.
    """
    return _matches(rule, Subject(event))


def _first(subject: Subject, rules: Iterable[Rule]) -> Rule | None:
    return next((rule for rule in rules if _matches(rule, subject)), None)


def _matches(rule: Rule, subject: Subject) -> bool:
    if not rule.matchers or not all(_holds(matcher, subject) for matcher in rule.matchers):
        return False
    wanted = [m for m in rule.matchers if m.field in FRAME_FIELDS and not m.negate]
    return len(wanted) < 2 or any(
        all(any(map(matcher.matches, getattr(frame, matcher.field))) for matcher in wanted)
        for frame in subject.frames
    )


def _holds(matcher: Matcher, subject: Subject) -> bool:
    values = subject.values(matcher.field, matcher.key)
    # Most rules do not match most events. A search for plain text finds these without a pattern.
    if _literal(matcher.glob) not in values.joined:
        return matcher.negate
    return any(map(matcher.matches, values.each)) != matcher.negate


@lru_cache(maxsize=1024)
def _literal(glob: str) -> str:
    """Return the longest part of a glob without a wildcard; a matching value contains it."""
    return max(_WILDCARDS.split(glob), key=len)


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    # fnmatch does not backtrack over a star, so matching takes time in proportion to the text.
    return re.compile(fnmatch.translate(glob.replace("[", "[[]")))
