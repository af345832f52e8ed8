"""The scrubber: it removes secrets from an event before the event is stored, forwarded or logged.

The steps for a payload:

1. **walk**: visit the payload once, breadth first. Filter values with a secret *name* and collect
   all other strings.
2. **hint**: join all new strings and search them for places where a rule could match. Nearly
   nothing matches, and the search runs in C.
3. **apply**: apply the rules to the few strings with a hint.
4. **copies**: search for the removed values in the rest of the payload.
5. **remember**: cache the short strings without secrets, because the next event has the same frames
   and names.
6. **rebuild**: copy only the containers that changed.

The scrubbing report says where something was removed and by which rule. It never has the value.

Rules in the report: ``name`` (a field, header, pair), ``pair`` (inside a text), ``argument``
(a command line), ``private_key``, ``url``, ``authorization``, ``jwt``, ``api_key``, ``card``,
``pattern`` (from the settings), ``copy``, ``depth``, ``error``, ``budget``; ``sql``, ``prose``,
``command`` (``mysql -pX``), ``encoded`` (base64), ``link`` (OAuth codes, signatures, reset links),
``iban``, ``national_number``. They are in :mod:`app.protocol.scrubbing.registry`.

The work is bounded (:mod:`app.protocol.scrubbing.budget`). When the budget is used up, the strings
that are not checked yet become ``[Filtered: too much to check]``. The unchecked keys and the
numbers under them become the same text. The report then has a few ``budget`` lines. A line with an
empty path means the whole payload, or the rest of a report that is too long.

Some parts are never changed: ``modules``, ``debug_meta`` and ``_meta`` of the root, whose keys are
names of packages and fields, and the ids in ``contexts.trace``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.protocol.scrubbing.budget import WorkBudget
from app.protocol.scrubbing.changes import Finding
from app.protocol.scrubbing.rule_set import RuleSet
from app.protocol.scrubbing.spans import FILTERED
from app.protocol.scrubbing.strings import Strings
from app.protocol.scrubbing.walk import MAX_DEPTH, Walk

__all__ = ["FILTERED", "MAX_DEPTH", "Finding", "Scrubber"]


class Scrubber(RuleSet):
    """Removes secrets from JSON-like values and texts. Safe to share between threads."""

    def scrub(
        self, payload: Any, known: Iterable[str] = (), budget: WorkBudget | None = None
    ) -> tuple[Any, list[Finding]]:
        """Return an event, an item or any JSON-like value without its secrets, and the report.

        :param payload: never changed; the result shares the parts without secrets.
        :param known: secrets to remove wherever they occur.
        :param budget: a budget that several payloads share; by default a new one.
        :return: the scrubbed value, and the scrubbing report: outer fields first, each line once.
        """
        budget = budget or WorkBudget()
        walk = Walk(self, payload, known, budget)
        walk.collect()
        strings = Strings(walk, self, budget)
        strings.apply_rules()
        strings.filter_copies()
        strings.remember()
        return walk.changes.rebuild(), walk.changes.report()

    def scrub_text(self, text: str) -> str:
        """Return a text without its secrets: a log line, a traceback, a whole log."""
        scrubbed: str = self.scrub(text)[0]
        return scrubbed
