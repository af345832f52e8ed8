"""Nothing secret on disk: take secrets out of an event before it is stored, forwarded or logged.

The path of a payload: **walk** it once, breadth first, filter what has a secret *name* and collect
every other string → **hint**: search all strings that are new, joined, for what a rule could start
at (nearly nothing matches, and the search runs in C) → **apply** the rules to the few strings with
a hint → **copies**: look for the values just taken out wherever else they stand → **remember** the
short strings that stay as they are, since frames and names come again with the next event →
**rebuild** only the containers that changed. The receipt says where and by which rule, never what.

Rules on the receipt: ``name`` (a field, header, pair), ``pair`` (inside a text), ``argument``
(a command line), ``private_key``, ``url``, ``authorization``, ``jwt``, ``api_key``, ``card``,
``pattern`` (from the settings), ``copy``, ``depth``, ``error``, ``budget``; ``sql``, ``prose``,
``command`` (``mysql -pX``), ``encoded`` (base64), ``link`` (OAuth codes, signatures, reset links),
``iban``, ``national_number``. They are in :mod:`app.protocol.scrubbing.registry`.

Work is bounded (:mod:`app.protocol.scrubbing.budget`): where it ends, strings become
``[Filtered: too much to check]``, and so do the keys that were not judged and the numbers under
them. The report then has a few ``budget`` lines; an empty path stands for the
whole payload, or for the rest of a report that grew too long.

Left as they are: the root's ``modules``, ``debug_meta`` and ``_meta``, whose keys are names of
packages and of fields, and the ids in ``contexts.trace``.
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
    """Takes secrets out of JSON-like values and texts. Safe to share between threads."""

    def scrub(
        self, payload: Any, known: Iterable[str] = (), budget: WorkBudget | None = None
    ) -> tuple[Any, list[Finding]]:
        """Scrub an event, an item, any JSON-like value.

        :param payload: never changed; what has no secret in it is shared with the result.
        :param known: secrets to take out wherever they stand.
        :param budget: what several payloads share; without it the payload has one of its own.
        :return: the scrubbed value, and the report: outer fields first, each line once.
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
        """Scrub one string: a log line, a traceback, a whole log."""
        scrubbed: str = self.scrub(text)[0]
        return scrubbed
