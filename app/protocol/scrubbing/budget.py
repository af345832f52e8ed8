"""The work budget of the scrubber for an envelope, and the replacement for unchecked values.

Work is counted in examined characters. It depends only on the input, not on time or on the cache of
earlier events. So the same envelope has the same result on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

UNCHECKED = "[Filtered: too much to check]"

# The most expensive of the recorded requests (tests/data/envelopes; 2 MB) costs 6.0 million, an
# event of 1 MB (frames with variables and source lines, breadcrumbs) 4.2 million. The full budget
# takes some 4 s of CPU for the worst known payload, a list of half a million small lists.
MAX_WORK = 32_000_000

# The cost of visiting a container, and of each field in it.
PER_CONTAINER, PER_FIELD = 16, 8
# A key is judged as a name, checked by each rule, and searched for copies of secrets.
PER_KEY_CHARACTER = 11
# A text is searched for hints, and the names in it are judged. The 32 searches for copies cost as
# much as two regular expressions.
_PER_CHARACTER = 3
# The value of a secret name is compared with the harmless values.
PER_LEAF = 64
# The scrubbing report of an envelope that exceeds the budget has at most this many lines about it.
_MAX_LINES = 10
# Shorter texts are not searched for as copies of a secret.
_SHORT = 8
# Keys of the protocol. They stay readable in a dict that was not checked, because they are not
# secrets.
_KNOWN_KEYS = frozenset(
    "abs_path arguments breadcrumb breadcrumbs category cause_id check_in_id context_line contexts"
    " duration environment event_id exception exceptions filename fingerprint function"
    " instruction_addr integrations is_segment lineno_end mechanism message metadata modules"
    " operation origin_id"
    " package parent_id parent_span_id platform post_context pre_context raw_function registers"
    " release request segment_id server_name span_id stacktrace start_timestamp thread_id threads"
    " timestamp trace_id transaction transaction_info".split()
)


class WorkBudget:
    """The work budget of an envelope."""

    def __init__(self, limit: int = MAX_WORK) -> None:
        self.limit = limit
        self.left = limit
        self.is_exceeded = False
        self._lines = 0

    @property
    def spent(self) -> int:
        """The number of examined characters."""
        return self.limit - self.left

    def spend(self, characters: int, keep: int = 0) -> bool:
        """Spend from the budget and return True, or return False if there is not enough left.

        :param keep: the amount that must be left for other work.
        """
        if self.left - characters < keep:
            self.is_exceeded = True
            return False
        self.left -= characters
        return True

    def may_report(self) -> bool:
        """Return whether the scrubbing report may have another line about the budget."""
        self._lines += 1
        return self._lines <= _MAX_LINES


def cost_of_name(name: str) -> int:
    """Return the cost of judging a name as a key."""
    return PER_KEY_CHARACTER * len(name)


def cost_of_dict(fields: int, keys: str) -> int:
    """Return the cost of visiting a dict and of judging its keys.

    :param keys: the joined keys.
    """
    return PER_CONTAINER + PER_FIELD * fields + PER_KEY_CHARACTER * len(keys)


def cost_of_reading(text: str) -> int:
    """Return the cost of searching a text for hints, and later for copies of secrets."""
    return _PER_CHARACTER * len(text)


def affordable(texts: list[str], budget: WorkBudget) -> int:
    """Spend the cost of reading texts, at most half of the remaining budget.

    :return: how many texts can be read, counted from the first.
    """
    keep = budget.left // 2
    if budget.spend(_PER_CHARACTER * sum(map(len, texts)), keep):
        return len(texts)
    for number, text in enumerate(texts):
        if not budget.spend(cost_of_reading(text), keep):
            return number
    return len(texts)


def without_values(value: Any, depth: int, *, keep_short_keys: bool = True) -> Any:
    """Return a value of the same shape, with placeholders for everything that is not checked.

    Numbers are replaced, too, because their names were not checked.

    :param depth: how many levels of containers to keep.
    :param keep_short_keys: False if even a short key may be a secret.
    """
    if value is None or isinstance(value, bool):
        return value
    if depth == 0 or not isinstance(value, (dict, list, tuple)):
        return UNCHECKED
    if not isinstance(value, dict):
        return [without_values(v, depth - 1, keep_short_keys=keep_short_keys) for v in value]
    members = (
        without_values(v, depth - 1, keep_short_keys=keep_short_keys) for v in value.values()
    )
    return dict(zip(_unique_keys(value, keep_short_keys), members, strict=True))


def _unique_keys(keys: Iterable[Any], keep_short: bool) -> Iterable[str]:
    count = 0
    for key in keys:
        if isinstance(key, str) and (key in _KNOWN_KEYS or (keep_short and len(key) < _SHORT)):
            yield key
        else:
            count += 1
            yield UNCHECKED if count == 1 else f"{UNCHECKED} ({count})"
