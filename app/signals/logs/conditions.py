"""What a search looks for in lines: clauses about their tokens, and comparisons of numbers.

A line fulfils ``duration_ms:>500`` if its attribute is such a number, or a text that is one as a
whole.
"""

from __future__ import annotations

import operator
import re
from typing import NamedTuple

from app.issues.counting import KEY_LENGTH
from app.search.clauses import Clause, Match
from app.search.document import tag_key
from app.search.tokens import has
from app.search.words import fold
from app.signals.logs.line import Line, Scalar

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_NUMBER = r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
_WHOLE = re.compile(_NUMBER)


class Comparison(NamedTuple):
    """A condition on the number of an attribute.

    :param operator: one of ``> >= < <=``.
    """

    name: str
    operator: str
    number: int | float
    is_negated: bool = False

    @property
    def clause(self) -> Clause:
        """The clause of lines that have the attribute."""
        return Clause(((Match(has(tag_key(self.name))),),))

    @property
    def needle(self) -> str | None:
        """What the texts of each line with the attribute have, folded; ``None`` for odd names."""
        name = fold(self.name)
        is_plain = name.isprintable() and not set(name) & {'"', "\\"} and len(name) < KEY_LENGTH
        return f'"{name}":' if is_plain else None

    def is_met(self, line: Line) -> bool:
        """Return whether a line fulfils it."""
        key = fold(tag_key(self.name))
        own = (value for name, value in line.attributes.items() if fold(tag_key(name)) == key)
        numbers = (number for value in own if (number := read_number(value)) is not None)
        return self.is_negated != any(map(self.fits, numbers))

    @property
    def expression(self) -> re.Pattern[str] | None:
        """What finds its numbers in the texts of a line; ``None`` without a needle."""
        if self.needle is None:
            return None
        # A number, or a text that is one, as JSON has it after a name.
        return re.compile(rf'{re.escape(self.needle)}"?({_NUMBER})[",}}]')

    def fits(self, number: int | float) -> bool:
        """Return whether a number fulfils it."""
        return bool(_OPERATORS[self.operator](number, self.number))


class Conditions(NamedTuple):
    """What lines have to fulfil: all of it."""

    clauses: tuple[Clause, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any condition."""
        return bool(self.clauses or self.comparisons)


def read_number(value: Scalar) -> int | float | None:
    """Return the number that a value is; ``None`` for any other value."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, str):
        return value
    if not _WHOLE.fullmatch(value):
        return None
    try:
        return int(value)
    except ValueError:
        return float(value)
