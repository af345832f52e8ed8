"""`make bench`: everything that is measured, with the goals it has to meet."""

from __future__ import annotations

import sys

from benchmarks import backlog, drain, held, pages, requests, scrub


def main() -> int:
    """Run every benchmark; 1 if a goal is missed."""
    print("scrubbing", flush=True)
    scrubbing = scrub.main()
    print("\nan error inside an open write transaction of the application", flush=True)
    bounded = held.main()
    print("\npages, filled with events (about two minutes)", flush=True)
    dear = pages.main()
    print("\nrequests (about five minutes)", flush=True)
    met = requests.main()
    print("\nqueued envelopes to a healthy Sentry (two minutes)", flush=True)
    drains = drain.main()
    print("\nthe backlog of an outage (four minutes)", flush=True)
    overtakes = backlog.main()
    return 0 if met and bounded and drains and overtakes and not scrubbing and not dear else 1


if __name__ == "__main__":
    sys.exit(main())
