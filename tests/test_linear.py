"""No input costs more than its length: every pattern and every walk over text, with a stopwatch.

The one timing assertion of the suite. Cheap first: a text is measured at n and 4 n only where the
longer one took suspiciously long. Every unit, not a sample, runs in `make chaos`.
"""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.linear import (
    Input,
    as_inputs,
    ask,
    letters_of,
    slow_inputs,
    units_of,
    walks,
)

SIZE = 4000
SUSPICIOUS_S = 0.01

# As it was before it was mended: runs of =, : and > cost n².
OLD_BACKWARDS = r"""[:=>,](?:(?<=[:=>])[\s"'`\\\])!:=>\[0-9]*([\w.-]{1,100}+\\?))"""


def test_quadratic_pattern_is_found() -> None:
    inputs = as_inputs({"old": re.compile(OLD_BACKWARDS)}, triples=0)

    slow = next(slow_inputs(inputs, SIZE, SUSPICIOUS_S), None)

    assert slow is not None
    assert slow.four_times > 6 * slow.once


def test_linear_pattern_is_not_found() -> None:
    inputs = as_inputs({"new": re.compile(r"[:=>]{1,100}+\w")}, triples=0)

    assert list(slow_inputs(inputs, SIZE, SUSPICIOUS_S)) == []


def test_units_hold_members_and_others_of_every_class() -> None:
    letters = list(letters_of(r"x[0-9](?:ab|[^a-z])"))

    assert {"x", "0", "ab", "a", "b"} <= set(letters)
    assert units_of(r"[0-9]") == units_of(r"[0-9]")


@pytest.mark.parametrize(
    "walk",
    [walk for walk in walks() if walk.name in ("message", "source line")],
    ids=lambda walk: walk.name,
)
def test_no_walk_costs_more_than_its_length(walk: Input) -> None:
    assert list(slow_inputs([walk], SIZE * 2, SUSPICIOUS_S * 4)) == []


def test_asking_covers_search_match_and_whole() -> None:
    # A pattern that is slow only as a whole is found as well.
    slow = Input("whole", partial(ask, re.compile(r"(?:a*b?)*c")), ("a",))

    assert slow.run("aaaac") is None
