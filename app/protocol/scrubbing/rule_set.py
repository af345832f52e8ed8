"""The rules with the names and patterns of one configuration, and what they remember of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from app.protocol.scrubbing.hints import Hinted, Hints, rules_of_name
from app.protocol.scrubbing.names import MAX_NAME, SECRET, is_second_word, verdict_of, words_of
from app.protocol.scrubbing.numbers import named_cards
from app.protocol.scrubbing.patterns import check_pattern, finder_of
from app.protocol.scrubbing.registry import RULES, Rule
from app.protocol.scrubbing.spans import FILTERED, Finder, Span
from app.protocol.scrubbing.verdicts import CODE, EXEMPT, UNSAFE

_CODE_KEYS = frozenset({"context_line", "pre_context", "post_context"})
_EXEMPT_AT_ROOT = frozenset({"modules", "debug_meta", "_meta"})
# An event has some 100 distinct names, the next one the same. Cleared when full, so that a flood
# of names costs time and not memory.
_MAX_CACHED = 4096
# Rules that find a secret by its name: the value alone may stand elsewhere.
_NAMED_RULES = frozenset({"pair", "argument", "sql", "prose", "command"})
# No name or key is too short for a secret below this; a shorter key is never searched.
_MIN_SECRET_KEY = 13


class RuleSet:
    """Judges names, and applies rules to single strings. Safe to share between threads."""

    def __init__(self, keys: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """Add the user's own names and patterns to the built-in rules.

        :param keys: names of fields; ``customer_number`` also covers ``customerNumber2``.
        :param patterns: regular expressions; all they match is replaced.
        :raise ValueError: a key has no letter, a pattern does not compile or could run away.
        """
        self._own = tuple(_own_words(key) for key in keys)
        self._own_stems = frozenset("".join(words) for words in self._own)
        self._patterns = [check_pattern(pattern) for pattern in patterns]
        self._names: dict[str, int] = {}
        # Read by the walk without a call: verdicts on keys, and the rules that a name, spelled
        # backwards, is a hint for.
        self.keys: dict[Any, int] = {}
        self.backwards: dict[str, Hinted] = {}
        # Texts that no rule finds anything in; lines of source apart, which are read otherwise.
        # With each, how many rules it had a hint for.
        self.clean_texts: dict[str, int] = {}
        self.clean_lines: dict[str, int] = {}

    def verdict_of_name(self, name: str) -> int:
        """Judge a name that stands in a text, see :func:`.names.verdict_of`."""
        verdict = self._names.get(name)
        if verdict is None:
            verdict = verdict_of(name) or self._own_verdict(name)
            _remember(self._names, name, verdict)
        return verdict

    def verdict_of_key(self, key: Any) -> int:
        """Judge the key of a dict: its name, its place in the protocol, a secret in itself."""
        text = key if isinstance(key, str) else repr(key)
        verdict = self.verdict_of_name(text)
        if not verdict & SECRET:
            verdict = CODE if key in _CODE_KEYS else 0
            verdict |= EXEMPT if key in _EXEMPT_AT_ROOT or key == "trace" else 0
        if (len(text) >= _MIN_SECRET_KEY or self._patterns) and self.clean(text) != text:
            verdict |= UNSAFE
        _remember(self.keys, key, verdict)
        return verdict

    def rules_of_backwards(self, name: str) -> Hinted:
        """Return the rules that a name, spelled backwards, is a hint for.

        A ``\\`` at its end makes its first letter an escape.
        """
        forwards = name[::-1]
        bare = forwards.lstrip("\\")
        verdict = self.verdict_of_name(bare)
        if forwards[0] == "\\":
            verdict |= self.verdict_of_name(forwards[2:])
        # "API key: x"; the rule looks at the word before.
        is_half = not verdict & SECRET and is_second_word(bare)
        hinted = rules_of_name(bare, bool(verdict & SECRET), is_half)
        _remember(self.backwards, name, hinted)
        return hinted

    def clean(self, text: str) -> str:
        """Apply to one string the rules that it has a hint for."""
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
        """Apply these of the rules to one string, in their order.

        :param code: it is a line of source.
        :param is_card: it stands under the name of a card.
        :param secrets: takes the values of the pairs found, for the search for copies.
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
        """Whether the user's patterns must see every string."""
        return bool(self._patterns)

    @property
    def pattern_count(self) -> int:
        """How many patterns the user has."""
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
