"""How much work the scrubber does for one envelope, and what stands where it did no more.

Work is counted in characters examined, from the input alone: not in time, and not by what happens
to be known from earlier events. So the same envelope has the same result on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

UNCHECKED = "[Filtered: too much to check]"

# The most expensive of the recorded requests (tests/data/envelopes; 2 MB) costs 6.0 million, an
# event of 1 MB (frames with variables and source lines, breadcrumbs) 4.2 million. All of the budget
# is some 4 s of CPU for the worst payload known, a list of half a million small lists.
MAX_WORK = 32_000_000

# A container is taken up, a field of it is looked at.
PER_CONTAINER, PER_FIELD = 16, 8
# A key is judged as a name, seen by each rule, and searched for copies of secrets.
PER_KEY_CHARACTER = 11
# A text is searched for hints, the names in it are judged; 32 searches for copies cost as much as
# two expressions.
_PER_CHARACTER = 3
# A value of a secret name is held against what is harmless there.
PER_LEAF = 64
# An envelope that is too large has this many lines about it on its scrubbing report.
_MAX_LINES = 10
# No shorter text is searched for as the copy of a secret.
_SHORT = 8
# Keys that stay readable although nothing in their dict was checked: a protocol's, no secret's.
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
    """The work that is left for one envelope."""

    def __init__(self, limit: int = MAX_WORK) -> None:
        self.limit = limit
        self.left = limit
        self.is_exceeded = False
        self._lines = 0

    @property
    def spent(self) -> int:
        """How many characters were examined."""
        return self.limit - self.left

    def spend(self, characters: int, keep: int = 0) -> bool:
        """Take from the budget; False, and nothing is taken, if there is not so much in it.

        :param keep: what must be left for other work.
        """
        if self.left - characters < keep:
            self.is_exceeded = True
            return False
        self.left -= characters
        return True

    def may_report(self) -> bool:
        """Whether another line about it belongs on the scrubbing report."""
        self._lines += 1
        return self._lines <= _MAX_LINES


def cost_of_name(name: str) -> int:
    """Return what it costs to judge one name, as a key."""
    return PER_KEY_CHARACTER * len(name)


def cost_of_reading(text: str) -> int:
    """Return what it costs to search a text for hints, and later for copies of secrets."""
    return _PER_CHARACTER * len(text)


def affordable(texts: list[str], budget: WorkBudget) -> int:
    """Pay for reading the texts, with half of what is left at most.

    :return: how many of them, from the first on, can be read.
    """
    keep = budget.left // 2
    if budget.spend(cost_of_reading("".join(texts)), keep):
        return len(texts)
    for number, text in enumerate(texts):
        if not budget.spend(cost_of_reading(text), keep):
            return number
    return len(texts)


def without_values(value: Any, depth: int, *, keep_short_keys: bool = True) -> Any:
    """Return a value of the same shape, with nothing in it that would have to be checked.

    Numbers go too: nobody looked at the name that they stand under.

    :param depth: how many levels of containers to keep.
    :param keep_short_keys: False where even a short key may be a secret.
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
