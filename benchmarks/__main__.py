"""`make bench`: what the service costs, one figure a line, with its goals.

Where a part compares with the bare handler (`benchmarks/bare.py`), both are measured in one run, in
turns. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.goals import Figure, printed


class Part(NamedTuple):
    """A part of the benchmarks.

    :param options: arguments of the module's ``measure``.
    """

    module: str
    about: str
    options: dict[str, Any] = {}

    def measure(self) -> Iterable[Figure]:
        """Measure and yield the figures. The modules load when they are needed."""
        measure = importlib.import_module(f"benchmarks.{self.module}").measure
        figures: Iterable[Figure] = measure(**self.options)
        return figures


PARTS = {
    "ingest": Part("ingest", "an accepted event, compared with the bare handler"),
    "ingest-browser": Part(
        "ingest", "the same with cookies, headers and library frames", {"shape": "browser"}
    ),
    "ingest-filled": Part(
        "ingest", "the same with 200,000 events in the store", {"filled": 200_000}
    ),
    "instructions": Part("instructions", "instructions of an event, where valgrind is there"),
    "pages": Part("page_costs", "the most opened pages, compared with the bare handler"),
    "start": Part("start", "CPU of a start, memory of a process"),
    "requests": Part("requests", "a request with our capture, the SDK's, and none (5 minutes)"),
    "scrub": Part("scrub", "scrubbing, and hostile input"),
    "held": Part("held", "an error inside an open write transaction"),
    "counting": Part("counting", "what quotas and bytes of projects cost"),
    "filled-pages": Part("pages", "pages with 10,000 and with 200,000 events (2 minutes)"),
    "insights": Part("insights", "what insights cost a request and an envelope"),
    "traces": Part("traces", "the page of a trace of 10,000 spans"),
    "search": Part("searching", "searches with 10,000 and with 200,000 events (4 minutes)"),
    "logs": Part("logs", "a line of a log, and searches among a million of them (5 minutes)"),
    "similar": Part("similar", "similar issues"),
    "memories": Part("memory", "searching memories (2 minutes)"),
    "drain": Part("drain", "queued envelopes to a healthy Sentry (2 minutes)"),
    "backlog": Part("backlog", "the backlog of an outage (4 minutes)"),
}


def main(names: list[str], *, records: bool) -> bool:
    """Measure the parts; return whether all goals are met.

    :param records: whether to append the figures to the history.
    """
    from benchmarks import history

    bare_ms = history.bare_ms() if records else 0.0
    met = True
    for name in names:
        print(f"\n{name}: {PARTS[name].about}", flush=True)
        figures = list(printed(PARTS[name].measure()))
        met &= all(figure.is_met for figure in figures)
        if records:
            history.append(name, figures, bare_ms)
    return met


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="parts:\n" + "\n".join(f"  {name:16}{part.about}" for name, part in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="all of them by default")
    parser.add_argument(
        "--record", action="store_true", help="append the figures to benchmarks/history.jsonl"
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; see --help")
    sys.exit(not main(given.parts or list(PARTS), records=given.record))
