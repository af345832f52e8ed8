"""Texts that repeat one unit, for every unit of every pattern that reads clients' data.

Limits: no pattern costs more than 6 times as much for 4 times the text; 300 KB of any unit is
scrubbed in 0.5 s of CPU, as a message and as a line of source. No service is started: the CPU of
one thread is measured, because such a thread would block all others.
"""

from __future__ import annotations

import time
from pathlib import Path

from app.protocol.scrub import Scrubber
from benchmarks.attacks import Attack, Outcome
from tests.linear_time import DANGEROUS, as_inputs, patterns_in, slow_inputs, units_of

SIZE, LONG = 8000, 300_000
MAX_S = 0.5


def measure_patterns(folder: Path) -> Outcome:
    """Measure every pattern, as the test suite does."""
    patterns = patterns_in("app.protocol", "app.issues")
    slow = []
    for number, (place, pattern) in enumerate(patterns.items(), 1):
        print(f"\r    {number} of {len(patterns)} patterns", end="", flush=True)
        slow += list(slow_inputs(as_inputs({place: pattern}, triples=2000), SIZE))
    print()
    names = ", ".join(sorted({one.name for one in slow})) or "none"
    return Outcome(f"{len(patterns)} patterns, beyond 6 times: {names}", "-", not slow)


def scrub_long_texts(folder: Path) -> Outcome:
    """Scrub 300 KB of each unit of the scrubber's patterns, and of each dangerous text."""
    units = set(DANGEROUS)
    for pattern in patterns_in("app.protocol").values():
        if isinstance(pattern.pattern, str):
            units.update(units_of(pattern.pattern, pattern.flags, triples=0, pairs=0))
    worst, worst_unit = 0.0, ""
    for number, unit in enumerate(sorted(units), 1):
        print(f"\r    {number} of {len(units)} units", end="", flush=True)
        text = (unit * (LONG // len(unit) + 1))[:LONG]
        for field in "message", "context_line":
            began = time.thread_time()
            Scrubber().scrub({field: text})
            took = time.thread_time() - began
            if took > worst:
                worst, worst_unit = took, unit
    print()
    cost = f"{len(units)} units, worst {worst:.2f} s ({worst_unit!r})"
    return Outcome(cost, "-", worst <= MAX_S)


ATTACKS = [
    Attack("every pattern, asked with every unit of its own", measure_patterns),
    Attack("300 KB of one unit, scrubbed", scrub_long_texts),
]
