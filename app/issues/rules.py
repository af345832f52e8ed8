"""Rules of the user: which events get a fingerprint of theirs, which are to be ignored.

A rule is pure data here; where it is kept and what ignoring means is for others. Its text form is
in ``rule_text.py``.

Source of the words: https://docs.sentry.io/concepts/data-management/event-grouping/
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
    """One condition.

    :param field: one of :data:`FIELDS`; with ``tag``, ``key`` is the tag's name.
    :param pattern: a glob, ``*`` any text and ``?`` one character, in any case; at most
        :data:`MAX_PATTERN` characters.
    :param negate: the condition holds when nothing matches.
    :raise ValueError: the pattern is longer; cut, it would match what it was not meant to.
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
        """The pattern as values are compared with it: in lower case, paths with forward slashes."""
        pattern = self.pattern.lower()
        return pattern.replace("\\", "/") if self.field == "path" else pattern

    def matches(self, value: str) -> bool:
        """Return whether one value matches the pattern, ``negate`` aside.

        :param value: in lower case.
        """
        return _compiled(self.glob).match(value) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with the events that all matchers match; a rule without matchers matches none."""

    id: int
    kind: Kind
    name: str
    matchers: list[Matcher]
    fingerprint: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say about an event.

    :param rule: the first fingerprint rule that matched.
    :param ignored_by: the first ignore rule that matched.
    """

    rule: Rule | None = None
    ignored_by: Rule | None = None


def apply_rules(event: Event, rules: Sequence[Rule]) -> Outcome:
    """Return what the rules say: of each kind the first that matches decides."""
    subject = Subject(event)
    return Outcome(
        rule=_first(subject, (rule for rule in rules if rule.kind == "fingerprint")),
        ignored_by=_first(subject, (rule for rule in rules if rule.kind == "ignore")),
    )


def matches(rule: Rule, event: Event) -> bool:
    """Return whether all matchers of a rule match.

    Matchers of path, module and function must match in one and the same frame, any of the event;
    negated ones must match in none.
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
    # Most rules do not match most events, and that much is known without a pattern.
    if _literal(matcher.glob) not in values.joined:
        return matcher.negate
    return any(map(matcher.matches, values.each)) != matcher.negate


@lru_cache(maxsize=1024)
def _literal(glob: str) -> str:
    """Return the longest text without a wildcard, which a value must contain."""
    return max(_WILDCARDS.split(glob), key=len)


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    # fnmatch never goes back over a star, so that matching takes time in proportion to the text.
    return re.compile(fnmatch.translate(glob.replace("[", "[[]")))
