"""Applies the rules to the strings that a walk collected, and finds copies of secrets."""

from __future__ import annotations

from itertools import compress, count, repeat
from typing import Any

from app.protocol.scrubbing import budget as costs
from app.protocol.scrubbing.copies import copyable, without
from app.protocol.scrubbing.hints import Hints
from app.protocol.scrubbing.ids import ID_KEYS, is_sentry_id
from app.protocol.scrubbing.layouts import SEPARATOR
from app.protocol.scrubbing.numbers import named_cards
from app.protocol.scrubbing.registry import RULES
from app.protocol.scrubbing.rule_set import RuleSet
from app.protocol.scrubbing.walk import Walk

# Source lines, names, paths: this many texts of this length take some 3 MiB, and one payload may
# add the same number again.
_MAX_CLEAN, _MAX_CLEAN_LENGTH = 16_384, 160

_CARD_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "card")
# An id of hexadecimal digits may look like these numbers.
_NUMBER_RULES = _CARD_RULES | {n for n, rule in enumerate(RULES) if rule.name == "national_number"}
_KEY_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "private_key")
# In place of the number of rules, for a text or a source line that no earlier payload had.
_NEW_TEXT, _NEW_LINE = -1, -2


class Strings:
    """The strings that a walk collected."""

    def __init__(self, walk: Walk, rules: RuleSet, budget: costs.WorkBudget) -> None:
        self._walk, self._rules, self._budget = walk, rules, budget
        self._texts, self._places = walk.texts, walk.places
        self._changes, self._secrets = walk.changes, walk.secrets
        # The numbers of the texts and the source lines that no earlier payload had.
        self._new_texts: list[int] = []
        self._new_lines: list[int] = []
        # The rules that may match a new text, and how many were applied to it.
        self._hinted: dict[int, set[int]] = {}
        self._applied: dict[int, int] = {}
        # Texts whose result depends on their place in the payload.
        self._by_place: set[int] = set()
        self._has_copies = False

    def apply_rules(self) -> None:
        """Apply to each new string the rules that have a hint in it."""
        self._leave_unread(costs.affordable(self._texts, self._budget))
        # A cached text costs the same as before, so that the budget gives the same result.
        applied = self._known()
        self._hinted, patterns = self._hints(), self._rules.pattern_count
        applied |= {number: len(names) + patterns for number, names in self._hinted.items()}
        results: dict[tuple[Any, ...], tuple[str, list[str]]] = {}
        for number, times in sorted(applied.items()):
            text = self._texts[number]
            if not self._budget.spend(len(text) * times):
                self._changes.replace(*self._places.of(number)[:2])
            elif (names := self._hinted.get(number)) is not None:
                self._applied[number] = times
                self._apply(number, names, results)

    def _known(self) -> dict[int, int]:
        """Return how many rules were applied to each text of an earlier payload; note the new ones.

        Nearly all texts are in the cache, and no rule was ever applied to them. So this is a few
        passes in C.
        """
        texts, known_line = self._texts, self._rules.clean_lines.get
        times = list(map(self._rules.clean_texts.get, texts, repeat(_NEW_TEXT)))
        for first, end in self._places.lines:
            times[first:end] = map(known_line, texts[first:end], repeat(_NEW_LINE))
        applied = {}
        for number in compress(count(), times):
            if times[number] == _NEW_TEXT:
                self._new_texts.append(number)
            elif times[number] == _NEW_LINE:
                self._new_lines.append(number)
            else:
                applied[number] = times[number]
        return applied

    def _apply(
        self, number: int, names: set[int], results: dict[tuple[Any, ...], tuple[str, list[str]]]
    ) -> None:
        """Apply rules to a text.

        :param results: the results for other texts of the payload. Frames have the same variables
            and lines, and the same text has the same result.
        """
        (index, key, is_line), text = self._places.of(number), self._texts[number]
        is_card = self._may_be_card(number, names)
        ordered = sorted(names if key not in ID_KEYS else names - _NUMBER_RULES)
        asked = (text, is_line, is_card, *ordered)
        if (result := results.get(asked)) is None:
            result = results[asked] = self._rules.apply(
                text, ordered, code=is_line, is_card=is_card, secrets=self._secrets
            )
        for rule in result[1]:
            self._changes.filter(index, key, rule, result[0])

    def _may_be_card(self, number: int, rules: set[int]) -> bool:
        """Return whether a text has the hint of a card number and the name of a card."""
        if rules.isdisjoint(_CARD_RULES):
            return False
        if any(named_cards(self._texts[number])):
            self._by_place.add(number)
        return self._walk.names_card(*self._places.of(number)[:2])

    def _leave_unread(self, first: int) -> None:
        """Replace a text and all texts after it."""
        if first == len(self._texts):
            return
        for index, key, _ in self._places.all()[first:]:
            self._changes.replace(index, key)
        del self._texts[first:]

    def _hints(self) -> dict[int, set[int]]:
        """Return the rules that may match each new string."""
        texts, rules, plain, code = self._texts, self._rules, self._new_texts, self._new_lines
        if not plain and not code:
            return {}
        # Each text once, even if the payload has it several times.
        found_plain: dict[str, set[int]] = {}
        found_code: dict[str, set[int]] = {}
        once = list(dict.fromkeys([texts[number] for number in plain]))
        code_from = len(once)
        once += dict.fromkeys([texts[number] for number in code])
        search = Hints(once, code_from, rules.backwards, rules.rules_of_backwards)
        for position, hinted in search.found() if once else ():
            found = found_plain if position < code_from else found_code
            found.setdefault(once[position], set()).update(hinted)
        for line in once[code_from:]:
            if len(line) >= 60 and " " not in line.strip():
                found_code.setdefault(line, set()).update(_KEY_RULES)
        none: set[int] | None = set() if rules.has_patterns else None
        return {
            number: worth
            for numbers, found in ((plain, found_plain), (code, found_code))
            if found or none is not None
            for number in numbers
            if (worth := found.get(texts[number], none)) is not None
        }

    def filter_copies(self) -> None:
        """Remove copies of the secrets just found, wherever they occur without a name."""
        secrets = copyable(self._secrets)
        if secrets and (present := self._present(secrets, self._texts)):
            self._has_copies = True
            for (index, key, _), text in zip(self._places.all(), self._texts, strict=False):
                if is_sentry_id(key, text):
                    continue
                edits = self._changes.edits.get(index)
                current = edits.get(key, text) if edits else text
                new = without(current, present)
                if new != current:
                    self._changes.filter(index, key, "copy", new)
        if secrets and (present := self._present(secrets, self._walk.keys)):
            for index, node in enumerate(self._walk.nodes):
                for key in node[0] if isinstance(node[0], dict) else ():
                    self._filter_key(index, key, present)

    def remember(self) -> None:
        """Add the unchanged texts to the cache, so that they need no search the next time."""
        texts, lines = self._rules.clean_texts, self._rules.clean_lines
        for known in (texts, lines):
            if len(known) >= _MAX_CLEAN:
                known.clear()
        for numbers, known in ((self._new_texts, texts), (self._new_lines, lines)):
            for number in numbers[:_MAX_CLEAN]:
                text = self._texts[number]
                if len(text) <= _MAX_CLEAN_LENGTH and self._is_unchanged(number):
                    known[text] = self._applied.get(number, 0)

    def _is_unchanged(self, number: int) -> bool:
        """Return whether a new text has no secret, wherever it is in a payload."""
        if number not in self._hinted and not self._has_copies:
            return True
        index, key, _ = self._places.of(number)
        # Some rules were not applied to texts with the name of an id.
        if number in self._by_place or key in ID_KEYS:
            return False
        return key not in self._changes.edits.get(index, ())

    def _present(self, secrets: list[str], texts: list[str]) -> list[str]:
        joined = SEPARATOR.join(texts)
        return [secret for secret in secrets if secret in joined]

    def _filter_key(self, index: int, key: Any, secrets: list[str]) -> None:
        current = self._changes.renames.get(index, {}).get(key, key)
        if isinstance(current, str) and (new := without(current, secrets)) != current:
            self._changes.rename(index, key, new, "copy")
