"""The walk through a payload: it filters values with secret names and collects other strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.protocol.metrics import is_measurement
from app.protocol.scrubbing import budget as costs
from app.protocol.scrubbing.budget import WorkBudget
from app.protocol.scrubbing.changes import Changes, Node
from app.protocol.scrubbing.fields import codes_among
from app.protocol.scrubbing.ids import is_sentry_id
from app.protocol.scrubbing.layouts import SEPARATOR, joined_keys
from app.protocol.scrubbing.names import SECRET
from app.protocol.scrubbing.numbers import is_card, names_card
from app.protocol.scrubbing.pairs import OPTION
from app.protocol.scrubbing.places import PLAIN, SOURCE, TRACE, Places
from app.protocol.scrubbing.rule_set import RuleSet
from app.protocol.scrubbing.shapes import Shape, is_harmless_leaf, is_measure, is_number
from app.protocol.scrubbing.verdicts import CODE, EXEMPT, UNSAFE

# Objects whose names come from the client, and whose values Sentry reads as numbers.
_NUMBERS = frozenset({"measurements", "breakdowns", "registers"})

# SDKs nest 5 to 15 levels. json.dumps of the result must not reach the recursion limit.
MAX_DEPTH = 100
# The numbers of cards have 13 to 19 digits.
_FIRST_CARD, _AFTER_CARDS = 10**12, 10**19
_TEXTS, _CONTAINERS = {str}, {dict, list}


class Walk:
    """The walk through a payload; in ``nodes``, parents always come before their children."""

    def __init__(
        self, rules: RuleSet, payload: Any, known: Iterable[str], budget: WorkBudget
    ) -> None:
        self._rules = rules
        self._budget = budget
        # Half of the budget is for the containers, and a quarter for other work of the walk.
        self._keep = budget.left - budget.left // 4
        self.nodes: list[Node] = [([payload], -1, None, 0, PLAIN)]
        self.texts: list[str] = []
        # The joined keys of each dict.
        self.keys: list[str] = []
        self.places = Places(self.nodes)
        self.secrets: set[str] = set(known)
        self.changes = Changes(self.nodes, budget)

    # ------------------------------------------------------------------------------ walk
    def collect(self) -> None:
        """Filter values by name and collect the other strings; keep some budget for the strings."""
        left = allowed = self._budget.left // 2
        layout_of, start = self._rules.layouts.get, self.places.starts.append
        nodes, texts, add_lines = self.nodes, self.texts, self.places.add_lines
        per_container, per_field = costs.PER_CONTAINER, costs.PER_FIELD
        # A long loop on purpose: it runs for every container, and calls would cost more than its
        # work. It adds nodes.
        for index, (value, _, name, depth, how) in enumerate(nodes):
            layout = None
            if not isinstance(value, dict):
                left -= per_container + per_field * len(value)
            elif layout := layout_of(tuple(value)):
                left -= layout.cost
                self.keys.append(layout.keys)
            else:
                self.keys.append(joined_keys(value))
                left -= costs.cost_of_dict(len(value), self.keys[-1])
            if left < 0:
                self._budget.is_exceeded = True
                self._budget.left -= allowed
                return self._leave_unchecked(index)
            start(len(texts))
            if how == SOURCE and set(map(type, value)) == _TEXTS:
                add_lines(len(texts), len(value))
                texts += value
                continue
            line_keys, below = layout.line_keys if layout else None, depth + 1
            if line_keys is None or how != PLAIN or name == "query_string" or below > MAX_DEPTH:
                self._look_closely(index, nodes[index])
                continue
            for key, child in value.items():
                kind = type(child)
                if kind is str:
                    if line_keys and key in line_keys:
                        add_lines(len(texts), 1)
                    texts.append(child)
                elif kind is dict or kind is list:
                    if line_keys and kind is list and key in line_keys:
                        nodes.append((child, index, key, below, SOURCE))
                    elif child:
                        nodes.append((child, index, key, below, PLAIN))
                elif kind is int:
                    if child >= _FIRST_CARD:
                        self._collect_other(index, key, child)
                elif kind is not bool and kind is not float and child is not None:
                    self._collect_other(index, key, child)
        self._budget.left -= allowed - left
        return None

    def _look_closely(self, index: int, node: Node) -> None:
        """Collect from a container that is not a dict whose keys are known to be harmless."""
        if isinstance(node[0], dict):
            self._collect_dict(index, node)
            self._rules.learn_layout(node[0])
        else:
            self._collect_list(index, node)

    def _leave_unchecked(self, first: int) -> None:
        """Replace the values in a container and in all containers after it."""
        for value, parent, key, depth, _ in self.nodes[first:]:
            self.changes.replace(parent, key, self._without_values(value, depth))
        del self.nodes[first:]

    def _without_values(self, value: Any, depth: int) -> Any:
        keep_short_keys = not self._rules.has_patterns
        return costs.without_values(value, MAX_DEPTH - depth + 1, keep_short_keys=keep_short_keys)

    def _collect_dict(self, index: int, node: Node) -> None:
        # A long function on purpose: this loop runs for every field, and calls would cost more than
        # its work.
        value, _, _, depth, how = node
        verdicts, nodes, texts = self._rules.keys, self.nodes, self.texts
        noted: list[tuple[Any, bool]] = []
        self.places.noted[index] = noted
        for key, child in self._fields(index, value, how):
            verdict = verdicts.get(key)
            if verdict is None:
                verdict = self._rules.verdict_of_key(key)
            if verdict and self._is_settled(index, key, child, verdict):
                continue
            kind = type(child)
            if kind is str:
                texts.append(child)
                noted.append((key, False))
            elif (kind is dict or kind is list) and depth < MAX_DEPTH:
                if child:
                    nodes.append((child, index, key, depth + 1, PLAIN))
            elif kind is not bool and kind is not float and child is not None:
                self._collect_other(index, key, child)

    def _fields(self, index: int, value: dict[Any, Any], how: int) -> Iterable[tuple[Any, Any]]:
        """Return the items to check, without a ``value`` that is filtered because of ``name``."""
        if how == TRACE:
            return [item for item in value.items() if not is_sentry_id(*item)]
        if "value" in value and isinstance(name := value.get("name", value.get("key")), str):
            verdict = self._rules.verdict_of_name(name)
            if (
                verdict & SECRET
                and not is_measurement(value)
                and self._is_filtered(index, "value", value["value"], name, verdict)
            ):
                return [item for item in value.items() if item[0] != "value"]
        # Checked here without a call, because this runs for each object.
        if "code" in value or "signature" in value or "hmac" in value:
            return self._without_codes(index, value)
        if self.nodes[index][2] == "query_string":
            return self._without_codes(index, value)
        return value.items()

    def _without_codes(self, index: int, value: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
        """Filter OAuth codes and signatures; return all other items."""
        is_query = self.nodes[index][2] == "query_string"
        codes = {
            name
            for name in codes_among(value.items(), is_query=is_query)
            if not self._rules.verdict_of_key(name) & (SECRET | UNSAFE)
            and self._is_filtered(index, name, value[name], name, SECRET, "link")
        }
        return [item for item in value.items() if item[0] not in codes] if codes else value.items()

    def _collect_list(self, index: int, node: Node) -> None:
        value, parent, _, depth, how = node
        if len(value) == 2 and how == PLAIN and self._is_named_pair(index, value, parent):
            return
        kinds = set(map(type, value))
        if kinds == _TEXTS and "--" not in SEPARATOR.join(value):
            self.texts += value
        elif kinds <= _CONTAINERS and depth < MAX_DEPTH:
            self.nodes += [(child, index, at, depth + 1, PLAIN) for at, child in enumerate(value)]
        else:
            self._collect_mixed(index, node)

    def _collect_mixed(self, index: int, node: Node) -> None:
        """Collect the strings of a list with values of several types, or with options."""
        value, _, _, depth, how = node
        noted: list[tuple[Any, bool]] = []
        self.places.noted[index] = noted
        option = ""
        for position, child in enumerate(value):
            if how == SOURCE and type(child) is str:
                self._add_source(index, position, child)
            elif type(child) is str:
                if option and not OPTION.match(child):
                    verdict = self._rules.verdict_of_name(option)
                    if self._is_filtered(index, position, child, option, verdict, "argument"):
                        option = ""
                        continue
                option = self._secret_option(child) if "--" in child[:3] else ""
                self.texts.append(child)
                noted.append((position, False))
            elif isinstance(child, (dict, list)) and depth < MAX_DEPTH:
                self.nodes.append((child, index, position, depth + 1, PLAIN))
            elif child is not None:
                self._collect_other(index, position, child)

    def _add_source(self, index: int, key: Any, line: str) -> None:
        self.places.add_lines(len(self.texts), 1)
        self.texts.append(line)
        self.places.noted[index].append((key, True))

    def _secret_option(self, text: str) -> str:
        """Return the name of a secret option such as ``--password``, or an empty text.

        The value of the option is the next argument.
        """
        name = text.strip("'\"")
        is_secret = name.startswith("--") and self._rules.verdict_of_name(name) & SECRET
        return name if is_secret and "=" not in name else ""

    def _is_named_pair(self, index: int, value: Any, parent: int) -> bool:
        """Return whether a list is a pair with a secret name, and filter its value.

        SDKs send headers, tags and query strings as ``[["Cookie", "a=b"], ...]``.
        """
        if parent < 1 or type(value[0]) is not str or not isinstance(self.nodes[parent][0], list):
            return False
        if not self._budget.spend(costs.cost_of_name(value[0]), self._keep):
            self.places.noted[index] = []
            self.changes.replace(index, 0)
            self.changes.replace(index, 1, self._without_values(value[1], self.nodes[index][3] + 1))
            return True
        verdict, rule = self._rules.verdict_of_key(value[0]), "name"
        if not verdict & (SECRET | UNSAFE) and self._is_code(parent, value):
            verdict, rule = verdict | SECRET, "link"
        if not verdict & SECRET or verdict & UNSAFE:
            return False
        self.changes.pair_names[index] = value[0]
        if not self._is_filtered(index, 1, value[1], value[0], verdict, rule):
            return False
        self.texts.append(value[0])
        self.places.noted[index] = [(0, False)]
        return True

    def _is_code(self, parent: int, pair: Any) -> bool:
        """Return whether a pair is an OAuth code or a signature, by the pairs beside it."""
        fields, _, key = self.nodes[parent][:3]
        is_query = key == "query_string"
        if not is_query and pair[0] not in ("code", "state", "signature", "hmac"):
            return False
        pairs = [pair] if is_query or len(fields) > 64 else [pair, *filter(_is_pair, fields)]
        return pair[0] in codes_among(pairs, is_query=is_query)

    def _collect_other(self, index: int, key: Any, child: Any) -> None:
        """Check a value that is not a plain JSON text or container, or is nested too deeply."""
        if isinstance(child, (dict, list, tuple)):
            if self.nodes[index][3] >= MAX_DEPTH:
                self.changes.filter(index, key, "depth")
            elif child:
                self.nodes.append((child, index, key, self.nodes[index][3] + 1, PLAIN))
        elif isinstance(child, (bool, float)):
            return
        elif isinstance(child, int):
            # Check the bounds first: str() of a huge int is slow, and fails above 4,300 digits. The
            # name must be one of a card: sizes and times have as many digits, and Sentry reads them
            # as numbers.
            if (
                _FIRST_CARD <= child < _AFTER_CARDS
                and is_card(str(child))
                and self.names_card(index, key)
            ):
                self.changes.filter(index, key, "card")
        else:
            self._collect_foreign(index, key, child)

    def _collect_foreign(self, index: int, key: Any, child: Any) -> None:
        """Check bytes and objects, which JSON does not have, but a log record may have."""
        try:
            text = str(child) if isinstance(child, str) else repr(child)
            if not self._budget.spend(costs.cost_of_name(text), self._keep):
                self.changes.replace(index, key)
                return
            cleaned = self._rules.clean(text)
        except Exception:  # a value whose __repr__ raises cannot be checked
            self.changes.filter(index, key, "error")
            return
        if cleaned != text:
            self.changes.filter(index, key, "pair", cleaned)

    def _is_settled(self, index: int, key: Any, child: Any, verdict: int) -> bool:
        """Apply the verdict on a key; return True if its value needs no further check."""
        if verdict & UNSAFE:
            self.changes.rename(index, key, self._rules.clean(str(key)), "key")
        if verdict & SECRET:
            if self._holds_numbers(index, child):
                return False
            return self._is_filtered(index, key, child, str(key), verdict)
        parent, depth = self.nodes[index][1], self.nodes[index][3]
        if verdict & EXEMPT and parent == 0 and key != "trace":
            return True
        how = SOURCE if verdict & CODE else PLAIN
        if key == "trace" and parent == 1 and self.nodes[index][2] == "contexts":
            how = TRACE
        if how == SOURCE and type(child) is str:
            self._add_source(index, key, child)
            return True
        if (
            how == PLAIN
            or depth >= MAX_DEPTH
            or type(child) is not (list if how == SOURCE else dict)
        ):
            return False
        self.nodes.append((child, index, key, depth + 1, how))
        return True

    def _holds_numbers(self, index: int, child: Any) -> bool:
        """Return whether a value is in a place where Sentry accepts only numbers.

        Examples are ``measurements``, each ``{"value": 1.5, "unit": "second"}``, and the registers
        of a processor. A number there is not a secret, even with a secret name.
        """
        if not is_number(child) and not isinstance(child, dict):
            return False
        while index > 1:
            _, parent, key = self.nodes[index][:3]
            if key in _NUMBERS and self._is_schema(parent, key):
                return is_number(child) or all(map(is_measure, child, child.values()))
            index = parent
        return False

    def _is_schema(self, index: int, key: Any) -> bool:
        """Return whether ``key`` in this container is a field of an event, a span or a stack."""
        _, above, name = self.nodes[index][:3]
        if key == "registers":
            return bool(name == "stacktrace")
        return index == 1 or self.nodes[above][2] == "spans"

    # -------------------------------------------------------------------------- by name
    def _is_filtered(
        self, index: int, key: Any, child: Any, name: str, verdict: int, rule: str = "name"
    ) -> bool:
        """Filter the value of a secret name; return False if it contains no secret.

        Objects and lists keep their shape. Where Sentry expects a context or cookies, it would
        discard a text and everything beside it.
        """
        leaves = self._leaves(child)
        if leaves is None:
            self.changes.replace(index, key, self._without_values(child, self.nodes[index][3] + 1))
            return True
        if all(is_harmless_leaf(name, leaf, verdict) for leaf in leaves):
            return False
        filtered = Shape(self._rules, name, verdict)
        replacement = filtered.copy_of(child, MAX_DEPTH - self.nodes[index][3])
        if replacement == child:
            return False
        self.secrets.update(self._secrets_in(child))
        self.changes.filter(index, key, rule, replacement)
        return True

    def _leaves(self, value: Any) -> list[Any] | None:
        """Return all values in a tree, or None if there are too many to check."""
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
        keys = len(joined_keys(node)) if isinstance(node, dict) else 0
        return costs.PER_KEY_CHARACTER * keys + costs.PER_LEAF * (len(node) + 1)

    def _secrets_in(self, child: Any) -> Iterator[str]:
        """Yield the strings to search for; of ``{"user_id": .., "token": ..}`` only the token."""
        stack = [child]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                yield node
            elif isinstance(node, (list, tuple)):
                stack.extend(node)
            elif isinstance(node, dict):
                verdict = self._rules.verdict_of_key
                stack.extend(value for key, value in node.items() if verdict(key) & SECRET)

    def names_card(self, index: int, key: Any) -> bool:
        """Return whether a field, or the object that contains it, has the name of a card."""
        return names_card(key) or names_card(self.nodes[index][2])


def _is_pair(value: Any) -> bool:
    """Return whether this is a list of a name and a value."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], str)
