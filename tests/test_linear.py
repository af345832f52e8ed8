"""No input costs more than its length: every pattern, and two walks over text, with a stopwatch.

The one timing assertion of the suite. Cheap first: a text is measured at n and 4 n only where short
ones took suspiciously long. Of the units of lengths 2 and 3 some are drawn; `make chaos` asks all
pairs and thousands of triples.
"""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.linear_time import (
    Input,
    as_inputs,
    ask,
    letters_of,
    patterns_in,
    slow_inputs,
    units_of,
    walks,
    ways_of,
)

SIZE = 8000
# The most units of lengths 2 and 3, of each pattern.
PAIRS, TRIPLES = 2000, 30
PATTERNS = patterns_in("app.protocol", "app.issues", "app.search")

# As it was before it was mended: runs of =, : and > cost n².
OLD_BACKWARDS = r"""[:=>,](?:(?<=[:=>])[\s"'`\\\])!:=>\[0-9]*([\w.-]{1,100}+\\?))"""


def test_quadratic_pattern_is_found() -> None:
    inputs = as_inputs({"old": re.compile(OLD_BACKWARDS)}, triples=0)

    slow = next(slow_inputs(inputs, SIZE), None)

    assert slow is not None
    assert slow.four_times > 6 * slow.once


def test_linear_pattern_is_not_found() -> None:
    inputs = as_inputs({"new": re.compile(r"[:=>]{1,100}+\w")}, triples=0)

    assert list(slow_inputs(inputs, SIZE)) == []


def test_units_hold_members_and_others_of_every_class() -> None:
    letters = list(letters_of(r"x[0-9](?:ab|[^a-z])"))

    assert {"x", "0", "ab", "a", "b"} <= set(letters)
    assert units_of(r"[0-9]") == units_of(r"[0-9]")


@pytest.mark.parametrize("place", PATTERNS)
def test_no_pattern_costs_more_than_the_length_of_its_text(place: str) -> None:
    inputs = as_inputs({place: PATTERNS[place]}, pairs=PAIRS, triples=TRIPLES)

    assert list(slow_inputs(inputs, SIZE)) == []


def test_pattern_is_asked_as_its_module_asks_it() -> None:
    assert ways_of("app.protocol.scrubbing.pairs._PAIR") == {"search"}
    assert ways_of("app.protocol.addresses._NAME") == {"fullmatch"}


@pytest.mark.parametrize("walk", walks(), ids=lambda walk: walk.name)
def test_no_walk_costs_more_than_its_length(walk: Input) -> None:
    assert list(slow_inputs([walk], SIZE)) == []


def test_asking_covers_search_match_and_whole() -> None:
    # A pattern that is slow only as a whole is found as well.
    slow = Input("whole", partial(ask, re.compile(r"(?:a*b?)*c")), ("a",))

    assert slow.run("aaaac") is None
