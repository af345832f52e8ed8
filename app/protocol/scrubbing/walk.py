"""One payload on its way through the scrubber: walked, hinted, rewritten, rebuilt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from app.protocol.metrics import is_measurement
from app.protocol.scrubbing import budget as costs
from app.protocol.scrubbing.budget import UNCHECKED, WorkBudget
from app.protocol.scrubbing.copies import copyable, without
from app.protocol.scrubbing.fields import codes_among
from app.protocol.scrubbing.hints import Hints
from app.protocol.scrubbing.names import SECRET
from app.protocol.scrubbing.numbers import is_card, named_cards, names_card
from app.protocol.scrubbing.pairs import OPTION
from app.protocol.scrubbing.registry import RULES
from app.protocol.scrubbing.shapes import Shape, is_harmless_leaf, is_measure, is_number
from app.protocol.scrubbing.spans import FILTERED
from app.protocol.scrubbing.verdicts import CODE, EXEMPT, UNSAFE

if TYPE_CHECKING:
    from app.protocol.scrub import Scrubber

# 16 hex digits are all decimal in one span id of 1,800, and one in ten of those passes Luhn.
_ID_KEYS = frozenset(
    "event_id trace_id span_id parent_span_id segment_id profile_id profiler_id replay_id"
    " check_in_id monitor_id sid did".split()
)
# Of these, what Sentry refuses an event for when it is no id: never the copy of a secret.
_SENTRY_IDS = _ID_KEYS - {"monitor_id", "sid", "did"}
_HEX = re.compile(r"[0-9a-fA-F-]{16,36}")
# Objects with names of the client's whose values Sentry reads as numbers.
_NUMBERS = frozenset({"measurements", "breakdowns", "registers"})

# SDKs nest 5 to 15 levels; json.dumps of the result must not run into the recursion limit.
MAX_DEPTH = 100
# Lines of source, names, paths: these many of so many characters take some 3 MiB, and one payload
# may add as many again.
_MAX_CLEAN, _MAX_CLEAN_LENGTH = 16_384, 160
_MAX_PATH_PART = 200
# Characters of paths on one scrubbing report: secrets that stand deep have long ones.
_MAX_REPORT = 1_000_000
_SEPARATOR = "\0"

_CARD_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "card")
# What an id of hexadecimal digits may look like.
_NUMBER_RULES = _CARD_RULES | {n for n, rule in enumerate(RULES) if rule.name == "national_number"}
_KEY_RULES = frozenset(n for n, rule in enumerate(RULES) if rule.name == "private_key")


class Finding(NamedTuple):
    """One line of the scrub receipt: where something was taken out, and by which rule."""

    path: str
    rule: str


# How a container is walked.
_PLAIN, _SOURCE, _TRACE = range(3)

_Node = tuple[Any, int, Any, int, int]  # value, index of the parent, key in it, depth, how
_Place = tuple[int, Any, bool]  # index of the container, key in it, is a source line


class Walk:
    """One payload on its way through the scrubber; parents always come before their children."""

    def __init__(
        self, scrubber: Scrubber, payload: Any, known: Iterable[str], budget: WorkBudget
    ) -> None:
        self._scrubber = scrubber
        self._budget = budget
        # Of the budget, a half is for the containers and a quarter for what they need besides.
        self._keep = budget.left - budget.left // 4
        self._nodes: list[_Node] = [([payload], -1, None, 0, _PLAIN)]
        self._texts: list[str] = []
        # The keys of each dict, joined.
        self._keys: list[str] = []
        self._places: list[_Place] = []
        # Which of the texts no earlier payload had.
        self._unknown: list[int] = []
        self._edits: dict[int, dict[Any, Any]] = {}
        self._renames: dict[int, dict[Any, str]] = {}
        # Of a container with renamed keys: the names that are taken, and the last number of each.
        self._taken: dict[int, set[Any]] = {}
        self._numbers: dict[tuple[int, str], int] = {}
        # How many rules were applied to a text.
        self._applied: dict[int, int] = {}
        # Texts whose result depends on where they stand.
        self._by_place: set[int] = set()
        self._pair_names: dict[int, str] = {}
        self._found: list[tuple[int, Any, str]] = []
        self._secrets: set[str] = set(known)

    # ------------------------------------------------------------------------------ walk
    def collect(self) -> None:
        """Filter by name, and gather the other strings; some of the budget is left for them."""
        left = allowed = self._budget.left // 2
        for index, node in enumerate(self._nodes):  # grows meanwhile
            value = node[0]
            is_dict = isinstance(value, dict)
            left -= costs.PER_CONTAINER + costs.PER_FIELD * len(value)
            if is_dict:
                keys = _joined_keys(value)
                left -= costs.PER_KEY_CHARACTER * len(keys)
                self._keys.append(keys)
            if left < 0:
                self._budget.is_exceeded = True
                self._budget.left -= allowed
                return self._leave_unchecked(index)
            if is_dict:
                self._collect_dict(index, node)
            else:
                self._collect_list(index, node)
        self._budget.left -= allowed - left
        return None

    def _leave_unchecked(self, first: int) -> None:
        """Replace what stands in this container and in all that come after it."""
        for value, parent, key, depth, _ in self._nodes[first:]:
            self._replace(parent, key, self._without_values(value, depth))
        del self._nodes[first:]

    def _without_values(self, value: Any, depth: int) -> Any:
        keep_short_keys = not self._scrubber.has_patterns
        return costs.without_values(value, MAX_DEPTH - depth + 1, keep_short_keys=keep_short_keys)

    def _replace(self, index: int, key: Any, replacement: Any = UNCHECKED) -> None:
        self._edits.setdefault(index, {})[key] = replacement
        if self._budget.may_report():
            self._found.append((index, key, "budget"))

    def _collect_dict(self, index: int, node: _Node) -> None:
        # Longer than others: this loop runs for every field, and calls cost more than its work.
        value, _, _, depth, how = node
        verdicts, nodes, texts, places = (
            self._scrubber.keys,
            self._nodes,
            self._texts,
            self._places,
        )
        for key, child in self._fields(index, value, how):
            verdict = verdicts.get(key)
            if verdict is None:
                verdict = self._scrubber.verdict_of_key(key)
            if verdict and self._is_settled(index, key, child, verdict):
                continue
            kind = type(child)
            if kind is str:
                texts.append(child)
                places.append((index, key, False))
            elif (kind is dict or kind is list) and depth < MAX_DEPTH:
                if child:
                    nodes.append((child, index, key, depth + 1, _PLAIN))
            elif kind is not bool and kind is not float and child is not None:
                self._collect_other(index, key, child)

    def _fields(self, index: int, value: dict[Any, Any], how: int) -> Iterable[tuple[Any, Any]]:
        """All items, but for what a ``{"name": "Cookie", "value": ...}`` settles."""
        if how == _TRACE:
            return [item for item in value.items() if not _is_sentry_id(*item)]
        if "value" in value and isinstance(name := value.get("name", value.get("key")), str):
            verdict = self._scrubber.verdict_of_name(name)
            if (
                verdict & SECRET
                and not is_measurement(value)
                and self._is_filtered(index, "value", value["value"], name, verdict)
            ):
                return [item for item in value.items() if item[0] != "value"]
        # No call for it: each object is asked.
        if "code" in value or "signature" in value or "hmac" in value:
            return self._without_codes(index, value)
        if self._nodes[index][2] == "query_string":
            return self._without_codes(index, value)
        return value.items()

    def _without_codes(self, index: int, value: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
        """The items that are no codes of OAuth and no signatures; those are filtered."""
        is_query = self._nodes[index][2] == "query_string"
        codes = {
            name
            for name in codes_among(value.items(), is_query=is_query)
            if not self._scrubber.verdict_of_key(name) & (SECRET | UNSAFE)
            and self._is_filtered(index, name, value[name], name, SECRET, "link")
        }
        return [item for item in value.items() if item[0] not in codes] if codes else value.items()

    def _collect_list(self, index: int, node: _Node) -> None:
        value, parent, _, depth, how = node
        if len(value) == 2 and self._is_named_pair(index, value, parent):
            return
        option = ""
        for position, child in enumerate(value):
            if how == _SOURCE and type(child) is str:
                self._add_source(index, position, child)
            elif type(child) is str:
                if option and not OPTION.match(child):
                    verdict = self._scrubber.verdict_of_name(option)
                    if self._is_filtered(index, position, child, option, verdict, "argument"):
                        option = ""
                        continue
                option = self._secret_option(child) if "--" in child[:3] else ""
                self._texts.append(child)
                self._places.append((index, position, False))
            elif isinstance(child, (dict, list)) and depth < MAX_DEPTH:
                self._nodes.append((child, index, position, depth + 1, _PLAIN))
            elif child is not None:
                self._collect_other(index, position, child)

    def _add_source(self, index: int, key: Any, line: str) -> None:
        self._texts.append(line)
        self._places.append((index, key, True))

    def _secret_option(self, text: str) -> str:
        """The name in ``--password``, whose value is the next argument, if it is a secret one."""
        name = text.strip("'\"")
        is_secret = name.startswith("--") and self._scrubber.verdict_of_name(name) & SECRET
        return name if is_secret and "=" not in name else ""

    def _is_named_pair(self, index: int, value: Any, parent: int) -> bool:
        """``[["Cookie", "a=b"], ...]``, how SDKs send headers, tags and query strings."""
        if parent < 1 or type(value[0]) is not str or not isinstance(self._nodes[parent][0], list):
            return False
        if not self._budget.spend(costs.cost_of_name(value[0]), self._keep):
            self._replace(index, 0)
            self._replace(index, 1, self._without_values(value[1], self._nodes[index][3] + 1))
            return True
        verdict, rule = self._scrubber.verdict_of_key(value[0]), "name"
        if not verdict & (SECRET | UNSAFE) and self._is_code(parent, value):
            verdict, rule = verdict | SECRET, "link"
        if not verdict & SECRET or verdict & UNSAFE:
            return False
        self._pair_names[index] = value[0]
        if not self._is_filtered(index, 1, value[1], value[0], verdict, rule):
            return False
        self._texts.append(value[0])
        self._places.append((index, 0, False))
        return True

    def _is_code(self, parent: int, pair: Any) -> bool:
        """Tell whether the pair is a code of OAuth or a signature, by the pairs beside it."""
        fields, _, key = self._nodes[parent][:3]
        is_query = key == "query_string"
        if not is_query and pair[0] not in ("code", "state", "signature", "hmac"):
            return False
        pairs = [pair] if is_query or len(fields) > 64 else [pair, *filter(_is_pair, fields)]
        return pair[0] in codes_among(pairs, is_query=is_query)

    def _collect_other(self, index: int, key: Any, child: Any) -> None:
        """Everything that is no plain JSON text or container, or stands too deep."""
        if isinstance(child, (dict, list, tuple)):
            if self._nodes[index][3] >= MAX_DEPTH:
                self._filter(index, key, "depth")
            elif child:
                self._nodes.append((child, index, key, self._nodes[index][3] + 1, _PLAIN))
        elif isinstance(child, (bool, float)):
            return
        elif isinstance(child, int):
            # The bounds first: str() of a huge int is slow, and refused above 4,300 digits.
            # By name: sizes and times are as long, and Sentry reads these as numbers.
            if 10**12 <= child < 10**19 and is_card(str(child)) and self._names_card(index, key):
                self._filter(index, key, "card")
        else:
            self._collect_foreign(index, key, child)

    def _collect_foreign(self, index: int, key: Any, child: Any) -> None:
        """bytes and objects: JSON has none, but a log record may."""
        try:
            text = str(child) if isinstance(child, str) else repr(child)
            if not self._budget.spend(costs.cost_of_name(text), self._keep):
                self._replace(index, key)
                return
            cleaned = self._scrubber.clean(text)
        except Exception:  # a __repr__ that raises hides nothing we could vouch for
            self._filter(index, key, "error")
            return
        if cleaned != text:
            self._filter(index, key, "pair", cleaned)

    def _is_settled(self, index: int, key: Any, child: Any, verdict: int) -> bool:
        """Act on the verdict on a key; True if nothing is left to do for its value."""
        if verdict & UNSAFE:
            self._rename(index, key, self._scrubber.clean(str(key)))
            self._found.append((index, key, "key"))
        if verdict & SECRET:
            if self._holds_numbers(index, child):
                return False
            return self._is_filtered(index, key, child, str(key), verdict)
        parent, depth = self._nodes[index][1], self._nodes[index][3]
        if verdict & EXEMPT and parent == 0 and key != "trace":
            return True
        how = _SOURCE if verdict & CODE else _PLAIN
        if key == "trace" and parent == 1 and self._nodes[index][2] == "contexts":
            how = _TRACE
        if how == _SOURCE and type(child) is str:
            self._add_source(index, key, child)
            return True
        if (
            how == _PLAIN
            or depth >= MAX_DEPTH
            or type(child) is not (list if how == _SOURCE else dict)
        ):
            return False
        self._nodes.append((child, index, key, depth + 1, how))
        return True

    def _holds_numbers(self, index: int, child: Any) -> bool:
        """Tell whether a value stands where Sentry reads numbers and reads none elsewhere.

        Such are ``measurements``, each ``{"value": 1.5, "unit": "second"}``, and the registers of
        a processor: a number there is no secret, whatever its name says.
        """
        if not is_number(child) and not isinstance(child, dict):
            return False
        while index > 1:
            _, parent, key = self._nodes[index][:3]
            if key in _NUMBERS and self._is_schema(parent, key):
                return is_number(child) or all(map(is_measure, child, child.values()))
            index = parent
        return False

    def _is_schema(self, index: int, key: Any) -> bool:
        """Tell whether ``key`` in this container is Sentry's: of an event, a span, a stack."""
        _, above, name = self._nodes[index][:3]
        if key == "registers":
            return bool(name == "stacktrace")
        return index == 1 or self._nodes[above][2] == "spans"

    # -------------------------------------------------------------------------- by name
    def _is_filtered(
        self, index: int, key: Any, child: Any, name: str, verdict: int, rule: str = "name"
    ) -> bool:
        """Filter the value of a secret name; False if it holds nothing secret.

        Objects and lists keep their shape: where Sentry expects a context or cookies it would
        discard a text, and all that stands beside it.
        """
        leaves = self._leaves(child)
        if leaves is None:
            self._replace(index, key, self._without_values(child, self._nodes[index][3] + 1))
            return True
        if all(is_harmless_leaf(name, leaf, verdict) for leaf in leaves):
            return False
        filtered = Shape(self._scrubber, name, verdict)
        replacement = filtered.copy_of(child, MAX_DEPTH - self._nodes[index][3])
        if replacement == child:
            return False
        self._secrets.update(self._secrets_in(child))
        self._filter(index, key, rule, replacement)
        return True

    def _leaves(self, value: Any) -> list[Any] | None:
        """All values in a tree, without recursion; None if there are too many to check."""
        if not isinstance(value, (dict, list, tuple)):
            return [value]
        stack: list[Any] = [value]
        leaves: list[Any] = []
        while stack:
            node = stack.pop()
            if isinstance(node, (dict, list, tuple)):
                if not self._budget.spend(self._cost_of_leaves(node), self._keep):
                    return None
                stack.extend(node.values() if isinstance(node, dict) else node)
            else:
                leaves.append(node)
        return leaves

    @staticmethod
    def _cost_of_leaves(node: Any) -> int:
        keys = len(_joined_keys(node)) if isinstance(node, dict) else 0
        return costs.PER_KEY_CHARACTER * keys + costs.PER_LEAF * (len(node) + 1)

    def _secrets_in(self, child: Any) -> Iterator[str]:
        """The strings to look for elsewhere; in ``{"user_id": .., "token": ..}`` the token only."""
        stack = [child]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                yield node
            elif isinstance(node, (list, tuple)):
                stack.extend(node)
            elif isinstance(node, dict):
                verdict = self._scrubber.verdict_of_key
                stack.extend(value for key, value in node.items() if verdict(key) & SECRET)

    def _filter(self, index: int, key: Any, rule: str, replacement: Any = FILTERED) -> None:
        self._edits.setdefault(index, {})[key] = replacement
        self._found.append((index, key, rule))

    def _rename(self, index: int, key: Any, new: str) -> None:
        taken = self._taken.get(index)
        if taken is None:
            taken = self._taken[index] = set(self._nodes[index][0])
        count = self._numbers.get((index, new), 1)
        unique = new if count == 1 else f"{new} ({count})"
        while unique in taken:
            count += 1
            unique = f"{new} ({count})"
        self._numbers[index, new] = count
        taken.add(unique)
        self._renames.setdefault(index, {})[key] = unique

    # -------------------------------------------------------------------------- by value
    def apply_rules(self) -> None:
        """Apply to each string that is new the rules it has a hint for."""
        self._leave_unread(costs.affordable(self._texts, self._budget))
        texts, lines = self._scrubber.clean_texts, self._scrubber.clean_lines
        known = [
            (lines if place[2] else texts).get(text)
            for text, place in zip(self._texts, self._places, strict=True)
        ]
        # Nearly all texts are known, and no rule was ever applied to them.
        others = [(number, count) for number, count in enumerate(known) if count != 0]
        self._unknown = [number for number, count in others if count is None]
        # What rules were applied to before costs the same again, so that the result is the same.
        applied = {number: count for number, count in others if count}
        hints, patterns = self._hints(), self._scrubber.pattern_count
        applied |= {number: len(names) + patterns for number, names in hints.items()}
        results: dict[tuple[Any, ...], tuple[str, list[str]]] = {}
        for number, count in sorted(applied.items()):
            index, key, is_code = self._places[number]
            if not self._budget.spend(len(self._texts[number]) * count):
                self._replace(index, key)
                continue
            if (names := hints.get(number)) is None:
                continue
            self._applied[number] = count
            is_card = self._may_be_card(number, names)
            ordered = sorted(names if key not in _ID_KEYS else names - _NUMBER_RULES)
            # Frames share variables, and lines: the same text, the same result.
            text = self._texts[number]
            asked = (text, is_code, is_card, *ordered)
            if (result := results.get(asked)) is None:
                result = results[asked] = self._scrubber.apply(
                    text, ordered, code=is_code, is_card=is_card, secrets=self._secrets
                )
            for rule in result[1]:
                self._filter(index, key, rule, result[0])

    def _may_be_card(self, number: int, rules: set[int]) -> bool:
        """Tell whether a text has the hint of a card, and stands under the name of one."""
        if rules.isdisjoint(_CARD_RULES):
            return False
        if any(named_cards(self._texts[number])):
            self._by_place.add(number)
        return self._names_card(*self._places[number][:2])

    def _names_card(self, index: int, key: Any) -> bool:
        """Tell whether a field, or the object that it stands in, is named after cards."""
        return names_card(key) or names_card(self._nodes[index][2])

    def _leave_unread(self, first: int) -> None:
        """Replace this text and all that come after it."""
        for index, key, _ in self._places[first:]:
            self._replace(index, key)
        del self._texts[first:], self._places[first:]

    def _hints(self) -> dict[int, set[int]]:
        """Which string may be worth which rules."""
        places, texts, scrubber = self._places, self._texts, self._scrubber
        if not self._unknown:
            return {}
        code = [number for number in self._unknown if places[number][2]]
        plain = [number for number in self._unknown if not places[number][2]]
        # Each text once, however often it stands in the payload.
        found_plain: dict[str, set[int]] = {}
        found_code: dict[str, set[int]] = {}
        once = list(dict.fromkeys([texts[number] for number in plain]))
        code_from = len(once)
        once += dict.fromkeys([texts[number] for number in code])
        search = Hints(once, code_from, scrubber.backwards, scrubber.rules_of_backwards)
        for position, hinted in search.found() if once else ():
            found = found_plain if position < code_from else found_code
            found.setdefault(once[position], set()).update(hinted)
        for line in once[code_from:]:
            if len(line) >= 60 and " " not in line.strip():
                found_code.setdefault(line, set()).update(_KEY_RULES)
        none: set[int] | None = set() if scrubber.has_patterns else None
        return {
            number: rules
            for numbers, found in ((plain, found_plain), (code, found_code))
            if found or none is not None
            for number in numbers
            if (rules := found.get(texts[number], none)) is not None
        }

    # ---------------------------------------------------------------------------- copies
    def filter_copies(self) -> None:
        """Take the secrets just found out of wherever else they stand, without a name."""
        secrets = copyable(self._secrets)
        if secrets and (present := self._present(secrets, self._texts)):
            for (index, key, _), text in zip(self._places, self._texts, strict=True):
                if _is_sentry_id(key, text):
                    continue
                edits = self._edits.get(index)
                current = edits.get(key, text) if edits else text
                new = without(current, present)
                if new != current:
                    self._filter(index, key, "copy", new)
        if secrets and (present := self._present(secrets, self._keys)):
            for index, node in enumerate(self._nodes):
                for key in node[0] if isinstance(node[0], dict) else ():
                    self._filter_key(index, key, present)

    def remember(self) -> None:
        """Have the texts that stay as they are pass at once where they come again."""
        texts, lines = self._scrubber.clean_texts, self._scrubber.clean_lines
        for known in (texts, lines):
            if len(known) >= _MAX_CLEAN:
                known.clear()
        for number in self._unknown[:_MAX_CLEAN]:
            if number in self._by_place:
                continue
            text, (index, key, is_code) = self._texts[number], self._places[number]
            # What stands under a name of ids has been spared a rule.
            if len(text) <= _MAX_CLEAN_LENGTH and key not in _ID_KEYS:
                if index not in self._edits or key not in self._edits[index]:
                    known = lines if is_code else texts
                    known[text] = self._applied.get(number, 0)

    def _present(self, secrets: list[str], texts: list[str]) -> list[str]:
        joined = _SEPARATOR.join(texts)
        return [secret for secret in secrets if secret in joined]

    def _filter_key(self, index: int, key: Any, secrets: list[str]) -> None:
        current = self._renames.get(index, {}).get(key, key)
        if isinstance(current, str) and (new := without(current, secrets)) != current:
            self._rename(index, key, new)
            self._found.append((index, key, "copy"))

    # --------------------------------------------------------------------------- rebuild
    def rebuild(self) -> Any:
        """The payload with its edits; containers without any are the payload's own."""
        for index in range(len(self._nodes) - 1, -1, -1):
            if index not in self._edits and index not in self._renames:
                continue
            value, parent, key = self._nodes[index][:3]
            edits, names = self._edits.get(index, {}), self._renames.get(index, {})
            if isinstance(value, dict):
                new: Any = {names.get(k, k): edits.get(k, child) for k, child in value.items()}
            else:
                new = [edits.get(position, child) for position, child in enumerate(value)]
            self._edits.setdefault(parent, {})[key] = new
        root: list[Any] = self._edits.get(-1, {}).get(None) or self._nodes[0][0]
        return root[0]

    def receipt(self) -> list[Finding]:
        """Where and by which rule, each once; a renamed key stands with its new name."""
        lines: dict[Finding, None] = {}
        left = _MAX_REPORT
        for index, key, rule in self._found:
            path = self._path(index, key)
            left -= len(path)
            if left < 0:
                lines[Finding("", "budget")] = None
                break
            lines[Finding(path, rule)] = None
        return list(lines)

    def _path(self, index: int, key: Any) -> str:
        parts: list[str] = []
        while index > 0:
            if isinstance(self._nodes[index][0], dict):
                parts.append(f".{self._renames.get(index, {}).get(key, key)}"[:_MAX_PATH_PART])
            else:
                name = self._pair_names.get(index)
                parts.append(f".{name}" if name else f"[{key}]")
            _, index, key = self._nodes[index][:3]
        return "".join(reversed(parts)).removeprefix(".")


def _is_sentry_id(key: Any, value: Any) -> bool:
    """Tell whether Sentry needs this as it is."""
    return key in _SENTRY_IDS and isinstance(value, str) and bool(_HEX.fullmatch(value))


def _is_pair(value: Any) -> bool:
    """Tell whether this is a name and a value."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], str)


def _joined_keys(value: dict[Any, Any]) -> str:
    try:
        return _SEPARATOR.join(value)
    except TypeError:  # JSON has only texts, a log record may have others
        return _SEPARATOR.join(key for key in value if isinstance(key, str))
