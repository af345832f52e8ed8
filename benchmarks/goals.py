"""Measured figures and their goals, printed one a line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

HEADER = f"  {'figure':<58}{'value':>9}{'must':>9}{'aim':>9}"


@dataclass(frozen=True)
class Figure:
    """A measured value and its goal.

    :param must: the worst value that meets the goal; ``None`` if there is no goal.
    :param aim: a better value, which is not required.
    :param more_is_better: whether the goals are lower bounds.
    """

    name: str
    value: float
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value meets the goal, or has none."""
        if self.must is None:
            return True
        return self.value >= self.must if self.more_is_better else self.value <= self.must

    def __str__(self) -> str:
        sign = "≥ " if self.more_is_better else "≤ "
        must, aim = ("" if goal is None else sign + _text(goal) for goal in (self.must, self.aim))
        word = "" if self.must is None else "met" if self.is_met else "MISSED"
        return f"  {self.name:<58}{_text(self.value):>9}{must:>9}{aim:>9}  {word}".rstrip()


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def printed(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Print each figure as soon as it is measured, and yield it."""
    print(HEADER)
    for figure in figures:
        print(figure, flush=True)
        yield figure


def run_alone(description: str | None, measure: Callable[[], Iterable[Figure]]) -> None:
    """Be the program of one benchmark without arguments; exit with 1 if a goal is missed."""
    argparse.ArgumentParser(description=description).parse_args()
    sys.exit(not all([figure.is_met for figure in printed(measure())]))
