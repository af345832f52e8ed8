"""Applies the rules to the strings that a walk collected, and finds copies of secrets."""

from __future__ import annotations

from typing import Any

from app.protocol.scrubbing import budget as costs
from app.protocol.scrubbing.copies import copyable, without
from app.protocol.scrubbing.hints import Hints
from app.protocol.scrubbing.ids import ID_KEYS, is_sentry_id
from app.protocol.scrubbing.numbers import named_cards
from app.protocol.scrubbing.registry import RULES
from app.protocol.scrubbing.rule_set import RuleSet
from app.protocol.scrubbing.walk import SEPARATOR, Walk

# Source lines, names, paths: this many texts of this length take some 3 MiB, and one payload may
# add the same number again.
_MAX_CLEAN, _MAX_CLEAN_LENGTH = 16_384, 160

_CARD_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "card")
# An id of hexadecimal digits may look like these numbers.
_NUMBER_RULES = _CARD_RULES | {n for n, rule in enumerate(RULES) if rule.name == "national_number"}
_KEY_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "private_key")


class Strings:
    """The strings that a walk collected."""

    def __init__(self, walk: Walk, rules: RuleSet, budget: costs.WorkBudget) -> None:
        self._walk, self._rules, self._budget = walk, rules, budget
        self._texts, self._places = walk.texts, walk.places
        self._changes, self._secrets = walk.changes, walk.secrets
        # The numbers of the texts that no earlier payload had.
        self._unknown: list[int] = []
        # How many rules were applied to each text.
        self._applied: dict[int, int] = {}
        # Texts whose result depends on their place in the payload.
        self._by_place: set[int] = set()

    def apply_rules(self) -> None:
        """Apply to each new string the rules that have a hint in it."""
        self._leave_unread(costs.affordable(self._texts, self._budget))
        texts, lines = self._rules.clean_texts, self._rules.clean_lines
        known = [
            (lines if place[2] else texts).get(text)
            for text, place in zip(self._texts, self._places, strict=True)
        ]
        # Nearly all texts are in the cache, and no rule was ever applied to them.
        others = [(number, count) for number, count in enumerate(known) if count != 0]
        self._unknown = [number for number, count in others if count is None]
        # A cached text costs the same as before, so that the budget gives the same result.
        applied = {number: count for number, count in others if count}
        hints, patterns = self._hints(), self._rules.pattern_count
        applied |= {number: len(names) + patterns for number, names in hints.items()}
        results: dict[tuple[Any, ...], tuple[str, list[str]]] = {}
        for number, count in sorted(applied.items()):
            index, key, is_code = self._places[number]
            if not self._budget.spend(len(self._texts[number]) * count):
                self._changes.replace(index, key)
                continue
            if (names := hints.get(number)) is None:
                continue
            self._applied[number] = count
            is_card = self._may_be_card(number, names)
            ordered = sorted(names if key not in ID_KEYS else names - _NUMBER_RULES)
            # Frames have the same variables and lines, and the same text has the same result.
            text = self._texts[number]
            asked = (text, is_code, is_card, *ordered)
            if (result := results.get(asked)) is None:
                result = results[asked] = self._rules.apply(
                    text, ordered, code=is_code, is_card=is_card, secrets=self._secrets
                )
            for rule in result[1]:
                self._changes.filter(index, key, rule, result[0])

    def _may_be_card(self, number: int, rules: set[int]) -> bool:
        """Return whether a text has the hint of a card number and the name of a card."""
        if rules.isdisjoint(_CARD_RULES):
            return False
        if any(named_cards(self._texts[number])):
            self._by_place.add(number)
        return self._walk.names_card(*self._places[number][:2])

    def _leave_unread(self, first: int) -> None:
        """Replace a text and all texts after it."""
        for index, key, _ in self._places[first:]:
            self._changes.replace(index, key)
        del self._texts[first:], self._places[first:]

    def _hints(self) -> dict[int, set[int]]:
        """Return the rules that may match each new string."""
        places, texts, rules = self._places, self._texts, self._rules
        if not self._unknown:
            return {}
        code = [number for number in self._unknown if places[number][2]]
        plain = [number for number in self._unknown if not places[number][2]]
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
            for (index, key, _), text in zip(self._places, self._texts, strict=True):
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
        for number in self._unknown[:_MAX_CLEAN]:
            if number in self._by_place:
                continue
            text, (index, key, is_code) = self._texts[number], self._places[number]
            # Some rules were not applied to texts with the name of an id.
            if len(text) <= _MAX_CLEAN_LENGTH and key not in ID_KEYS:
                if index not in self._changes.edits or key not in self._changes.edits[index]:
                    known = lines if is_code else texts
                    known[text] = self._applied.get(number, 0)

    def _present(self, secrets: list[str], texts: list[str]) -> list[str]:
        joined = SEPARATOR.join(texts)
        return [secret for secret in secrets if secret in joined]

    def _filter_key(self, index: int, key: Any, secrets: list[str]) -> None:
        current = self._changes.renames.get(index, {}).get(key, key)
        if isinstance(current, str) and (new := without(current, secrets)) != current:
            self._changes.rename(index, key, new, "copy")
