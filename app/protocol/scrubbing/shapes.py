"""Replacements for objects and lists with a secret name: the same shape without secrets."""

from __future__ import annotations

import re
from typing import Any

from app.protocol.scrubbing.harmless import is_harmless
from app.protocol.scrubbing.names import COUNTABLE, HEADER
from app.protocol.scrubbing.rule_set import RuleSet
from app.protocol.scrubbing.spans import FILTERED
from app.protocol.scrubbing.verdicts import UNSAFE

# Logs, metrics and spans v2: {"user.password": {"value": "x", "type": "string"}}.
_TYPED_ATTRIBUTE = {"value", "type", "unit"}
_COOKIE = re.compile(r"([^\s=;,]{1,200}+)=[^;]*+")
_REGISTER = re.compile(r"0x[0-9a-fA-F]{1,32}")
# A long key with letters and digits is not a name: {"tokens": {"9f8e7d6c5b4a39281706": ...}}.
_TOKEN_KEY = re.compile(
    r"(?=[^0-9]{0,256}+[0-9])(?=[^a-zA-Z]{0,256}+[a-zA-Z])[\w.+/=-]{20,}+", re.A
)


class Shape:
    """Makes copies of values with a secret name: the same shape without secrets."""

    def __init__(self, rules: RuleSet, name: str, verdict: int) -> None:
        self._rules = rules
        self._name = name
        self._verdict = verdict

    def copy_of(self, value: Any, depth: int) -> Any:
        """Return a copy of a value without secrets.

        :param depth: how many levels of objects and lists to keep.
        """
        if isinstance(value, (dict, list, tuple)):
            if depth <= 0:
                return FILTERED
            if not isinstance(value, dict):
                return [self._member(member, depth - 1) for member in value]
            if "value" in value and value.keys() <= _TYPED_ATTRIBUTE:
                return self._attribute(value, depth - 1)
            members = [self.copy_of(member, depth - 1) for member in value.values()]
            return dict(zip(self._names(value), members, strict=True))
        if is_harmless_leaf(self._name, value, self._verdict):
            return value
        if isinstance(value, str) and self._name.lower() == "cookies":
            # Sentry reads cookies in a text only if they are pairs.
            return (
                _COOKIE.sub(lambda pair: f"{pair[1]}={FILTERED}", value)
                if "=" in value
                else FILTERED
            )
        return FILTERED

    def _member(self, value: Any, depth: int) -> Any:
        """Return the copy of a member of a list; a pair in a list of cookies keeps its name."""
        is_cookie = self._verdict & HEADER and isinstance(value, (list, tuple))
        if is_cookie and len(value) == 2 and isinstance(value[0], str):
            return [self._safe(value[0]), self.copy_of(value[1], depth)]
        return self.copy_of(value, depth)

    def _attribute(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return the copy of a typed attribute of a log, metric or span; its type becomes text."""
        copy = {**value, "value": self.copy_of(value["value"], depth)}
        if copy["value"] == FILTERED != value["value"] and "type" in value:
            copy["type"] = "string"
        return copy

    def _names(self, value: dict[Any, Any]) -> list[Any]:
        names: dict[Any, None] = {}
        counts: dict[Any, int] = {}
        for key in value:
            name = safe = self._safe(key)
            while name in names or (name != key and name in value):
                counts[safe] = counts.get(safe, 1) + 1
                name = f"{safe} ({counts[safe]})"
            names[name] = None
        return list(names)

    def _safe(self, key: Any) -> Any:
        """Return a key without secrets."""
        if not isinstance(key, str):
            return key
        if _TOKEN_KEY.fullmatch(key):
            return FILTERED
        is_unsafe = self._rules.verdict_of_key(key) & UNSAFE
        return self._rules.clean(key) if is_unsafe else key


def is_number(value: Any) -> bool:
    """Return whether Sentry reads a value as a number."""
    # The registers of a processor are numbers in texts.
    return type(value) in (int, float) or (
        isinstance(value, str) and bool(_REGISTER.fullmatch(value))
    )


def is_measure(name: Any, member: Any) -> bool:
    """Return whether this may be a member of a measurement; objects are checked separately."""
    if member is None or isinstance(member, dict):
        return True
    return is_number(member) if name == "value" else name == "unit"


def is_harmless_leaf(name: str, leaf: Any, verdict: int) -> bool:
    """Return whether a value under a secret name is not a secret."""
    if leaf is None or isinstance(leaf, bool):
        return True
    if isinstance(leaf, (int, float)):
        return bool(verdict & COUNTABLE)
    return isinstance(leaf, str) and is_harmless(name, leaf, verdict)
