"""`make bench`: all benchmarks, with the goals that they have to meet."""

from __future__ import annotations

import sys

from benchmarks import (
    backlog,
    counting,
    drain,
    held,
    ingest,
    insights,
    memory,
    pages,
    requests,
    scrub,
    similar,
)
from benchmarks.usage import only_help


def main() -> int:
    """Run every benchmark; return 1 if a goal is missed."""
    print("scrubbing", flush=True)
    scrubbing = scrub.main()
    print("\nan error inside an open write transaction of the application", flush=True)
    bounded = held.main()
    print("\nwhat counting costs", flush=True)
    counted = counting.main()
    print("\npages, filled with events (about two minutes)", flush=True)
    dear = pages.main()
    print("\nrequests (about five minutes)", flush=True)
    met = requests.main()
    print("\ninsights", flush=True)
    cheap = insights.main()
    print("\nsimilar issues", flush=True)
    alike = similar.main()
    print("\nmemories (two minutes)", flush=True)
    found = memory.main()
    print("\nqueued envelopes to a healthy Sentry (two minutes)", flush=True)
    drains = drain.main()
    print("\nthe backlog of an outage (four minutes)", flush=True)
    overtakes = backlog.main()
    print("\nthe second door (about fifteen minutes)", flush=True)
    kept = ingest.main()
    goals = (met, cheap, alike, found, bounded, counted, drains, overtakes, kept)
    goals += (not scrubbing, not dear)
    return 0 if all(goals) else 1


if __name__ == "__main__":
    only_help(__doc__)
    sys.exit(main())
