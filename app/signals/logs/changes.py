"""What a stored line has not as it was sent, in words; texts of values that are no texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.protocol.lenient import clean_text

# Of the column: all that can be said of one line has room, save for absurd numbers.
MAX_WORDS = 200


@dataclass(slots=True)
class Changes:
    """What was cut, left out or replaced when a line was read.

    :param of_body: characters of the message that were cut. :param attributes: how many were left
        out. :param values: how many were cut.
    :param cut: names of facts that were cut. :param left_out: names of facts that are none.
    :param has_time_of_arrival: whether its time is that of its arrival.
    """

    of_body: int = 0
    attributes: int = 0
    values: int = 0
    cut: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    has_time_of_arrival: bool = False

    @property
    def are_any(self) -> bool:
        """Whether anything changed."""
        facts = self.cut or self.left_out or self.has_time_of_arrival
        return bool(facts or self.of_body or self.attributes or self.values)

    def in_words(self) -> str:
        """Return all of it."""
        return joined(
            (
                self.of_body and f"{many(self.of_body, 'character')} of the message cut",
                self.attributes and f"{many(self.attributes, 'attribute')} left out",
                self.values and f"{many(self.values, 'value')} cut",
                self.cut and f"{', '.join(self.cut)} cut",
                self.left_out and f"{', '.join(sorted(self.left_out))} left out",
                self.has_time_of_arrival and "time of arrival",
            )
        )


def joined(parts: Iterable[Any]) -> str:
    """Return what is said as one text, within the length of its column."""
    return "; ".join(filter(None, parts))[:MAX_WORDS]


def text_of_odd(value: Any) -> str | None:
    """Return the text of a value that is no text: a number, or JSON.

    :return: ``None`` if it is nested too deep or has too many digits; empty for ``null``.
    """
    if value is None:
        return ""
    try:
        is_nested = isinstance(value, dict | list)
        text = json.dumps(value, ensure_ascii=False, default=str) if is_nested else str(value)
    except (ValueError, RecursionError):
        return None
    return clean_text(text)


def many(count: int, name: str) -> str:
    """Return a count of things with their name."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
