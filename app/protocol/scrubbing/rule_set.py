"""The rules with the names and patterns of a configuration, and their caches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from app.protocol.scrubbing.hints import Hinted, Hints, rules_of_name
from app.protocol.scrubbing.layouts import MAX_KEYS, MAX_LAYOUTS, Layout, layout_of
from app.protocol.scrubbing.names import MAX_NAME, SECRET, is_second_word, verdict_of, words_of
from app.protocol.scrubbing.numbers import named_cards
from app.protocol.scrubbing.patterns import check_pattern, finder_of
from app.protocol.scrubbing.places import CODE_KEYS
from app.protocol.scrubbing.registry import RULES, Rule
from app.protocol.scrubbing.spans import FILTERED, Finder, Span
from app.protocol.scrubbing.verdicts import CODE, EXEMPT, UNSAFE

_EXEMPT_AT_ROOT = frozenset({"modules", "debug_meta", "_meta"})
# An event has some 100 distinct names, and the next event has the same names. A full cache is
# cleared, so a flood of names costs time but not memory.
_MAX_CACHED = 4096
# Longer headers are not remembered; those of an SDK with a trace have some 500 characters.
_MAX_HEADERS = 1000
# Rules that find a secret by its name. The value without the name may occur elsewhere.
_NAMED_RULES = frozenset({"pair", "argument", "sql", "prose", "command"})
# A key that is shorter than this cannot contain a secret, so it is not searched.
_MIN_SECRET_KEY = 13


class RuleSet:
    """Judges names, and applies rules to single strings. Safe to share between threads."""

    def __init__(self, keys: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """Add the user's own names and patterns to the built-in rules.

        :param keys: names of fields; ``customer_number`` also matches ``customerNumber2``.
        :param patterns: regular expressions; all their matches are replaced.
        :raise ValueError: a key has no letter, or a pattern does not compile or could take too
            long.
        """
        self._own = tuple(_own_words(key) for key in keys)
        self._own_stems = frozenset("".join(words) for words in self._own)
        self._patterns = [check_pattern(pattern) for pattern in patterns]
        self._names: dict[str, int] = {}
        # The walk reads these caches without a call: the verdicts on keys, the layouts by their
        # keys, and the rules for a reversed name.
        self.keys: dict[Any, int] = {}
        self.layouts: dict[tuple[str, ...], Layout] = {}
        self.backwards: dict[str, Hinted] = {}
        # Texts in which no rule finds a secret, with the number of rules that had a hint. Source
        # lines have a separate cache, because they are read in another way.
        self.clean_texts: dict[str, int] = {}
        self.clean_lines: dict[str, int] = {}
        # Headers of envelopes without a secret, with their cost.
        self.clean_headers: dict[str, int] = {}

    def verdict_of_name(self, name: str) -> int:
        """Return the verdict on a name in a text, see :func:`.names.verdict_of`."""
        verdict = self._names.get(name)
        if verdict is None:
            verdict = verdict_of(name) or self._own_verdict(name)
            _remember(self._names, name, verdict)
        return verdict

    def verdict_of_key(self, key: Any) -> int:
        """Return the verdict on the key of a dict: its name, its place, and secrets in it."""
        text = key if isinstance(key, str) else repr(key)
        verdict = self.verdict_of_name(text)
        if not verdict & SECRET:
            verdict = CODE if key in CODE_KEYS else 0
            verdict |= EXEMPT if key in _EXEMPT_AT_ROOT or key == "trace" else 0
        if (len(text) >= _MIN_SECRET_KEY or self._patterns) and self.clean(text) != text:
            verdict |= UNSAFE
        _remember(self.keys, key, verdict)
        return verdict

    def remember_headers(self, headers: str, cost: int) -> None:
        """Remember headers without a secret, in the form of their repr."""
        if len(headers) <= _MAX_HEADERS:
            _remember(self.clean_headers, headers, cost)

    def learn_layout(self, value: dict[Any, Any]) -> None:
        """Remember the layout of a dict, so that the next one with its keys is walked faster."""
        if len(value) > MAX_KEYS or tuple(value) in self.layouts:
            return
        layout = layout_of(value, self._known_verdict)
        if layout is not None:
            if len(self.layouts) >= MAX_LAYOUTS:
                self.layouts.clear()
            self.layouts[tuple(value)] = layout

    def _known_verdict(self, key: Any) -> int:
        verdict = self.keys.get(key)
        return self.verdict_of_key(key) if verdict is None else verdict

    def rules_of_backwards(self, name: str) -> Hinted:
        """Return the rules for which a reversed name is a hint.

        With a ``\\`` at its end, the first letter of the name may be part of an escape.
        """
        forwards = name[::-1]
        bare = forwards.lstrip("\\")
        verdict = self.verdict_of_name(bare)
        if forwards[0] == "\\":
            verdict |= self.verdict_of_name(forwards[2:])
        # "API key: x": the rule also reads the word before the name.
        is_half = not verdict & SECRET and is_second_word(bare)
        hinted = rules_of_name(bare, bool(verdict & SECRET), is_half)
        _remember(self.backwards, name, hinted)
        return hinted

    def clean(self, text: str) -> str:
        """Return a string after applying the rules that have a hint in it."""
        numbers: set[int] = set()
        for _, found in Hints([text], 1, self.backwards, self.rules_of_backwards).found():
            numbers.update(found)
        if not numbers and not self._patterns:
            return text
        return self.apply(text, sorted(numbers), code=False, secrets=set())[0]

    def apply(
        self,
        text: str,
        numbers: Iterable[int],
        *,
        code: bool,
        is_card: bool = False,
        secrets: set[str],
    ) -> tuple[str, list[str]]:
        """Apply some of the rules to a string, in their order.

        :param numbers: the numbers of the rules.
        :param code: whether the string is a source line.
        :param is_card: whether the string has the name of a card.
        :param secrets: the values of found pairs are added to it, for the search for copies.
        :return: the new text, and the names of the rules that matched.
        """
        matched = []
        for name, find in self._finders(numbers, code, is_card):
            try:
                spans = list(find(text))
            except Exception:  # a rule that fails must not let the string through
                return FILTERED, ["error"]
            if spans:
                matched.append(name)
                if name in _NAMED_RULES:
                    secrets.update(text[start:end] for start, end in spans)
                text = _blank(text, spans)
        return text, matched

    @property
    def has_patterns(self) -> bool:
        """Whether the user has patterns; they must check every string."""
        return bool(self._patterns)

    @property
    def pattern_count(self) -> int:
        """The number of the user's patterns."""
        return len(self._patterns)

    def _finders(
        self, numbers: Iterable[int], code: bool, is_card: bool
    ) -> Iterator[tuple[str, Finder]]:
        for number in numbers:
            rule = RULES[number]
            if rule.find_by_name is not None:
                yield rule.name, partial(self._find_by_name, rule, code)
            elif rule.find is not None:
                yield rule.name, named_cards if is_card and rule.name == "card" else rule.find
        for pattern in self._patterns:
            yield "pattern", finder_of(pattern)

    def _find_by_name(self, rule: Rule, code: bool, text: str) -> Iterator[Span]:
        return (
            rule.find_by_name(text, self.verdict_of_name, code) if rule.find_by_name else iter(())
        )

    def _own_verdict(self, name: str) -> int:
        if not self._own or len(name) > MAX_NAME:
            return 0
        words = words_of(name)
        if "".join(words) in self._own_stems:
            return SECRET
        return SECRET if any(_contains(words, own) for own in self._own) else 0


def _blank(text: str, spans: list[Span]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        parts += (text[end:start], FILTERED)
        end = stop
    return "".join((*parts, text[end:]))


def _remember(cache: dict[Any, Any], name: Any, verdict: Any) -> None:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[name] = verdict


def _own_words(key: str) -> tuple[str, ...]:
    words = words_of(key)
    if not words:
        raise ValueError(f"scrub key {key!r}: expected a field's name with at least one letter")
    return words


def _contains(words: tuple[str, ...], own: tuple[str, ...]) -> bool:
    return any(words[at : at + len(own)] == own for at in range(len(words) - len(own) + 1))
