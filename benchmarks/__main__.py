"""`make bench`: everything that is measured, with the goals it has to meet."""

from __future__ import annotations

import sys

from benchmarks import requests, scrub


def main() -> int:
    """Run every benchmark; 1 if a goal is missed."""
    print("scrubbing", flush=True)
    scrubbing = scrub.main()
    print("\nrequests (about three minutes)", flush=True)
    met = requests.main()
    return 1 if scrubbing or not met else 0


if __name__ == "__main__":
    sys.exit(main())
