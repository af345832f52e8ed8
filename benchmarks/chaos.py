"""`make chaos`: many kinds of failure, and the losses that they cause.

store   kill it, fill it, start it eight times at once                     chaos_store.py
table   failures of Sentry: losses of the SDK alone, and of this service   chaos_table.py
attacks attacks of hostile clients on a running service                    attacks/
run     minutes of all failures at once, with callers of both kinds        chaos_run.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import attacks, chaos_run, chaos_store, chaos_table

PARTS = ("table", "run", "store", "attacks")


def main() -> int:
    """Run every part, or those that are named; return 1 if anything was lost or went wrong."""
    plan = chaos_run.Plan()
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    say = parser.add_argument
    say("parts", nargs="*", choices=[*PARTS, []], help="(all of them)")
    say("--events", type=int, default=plan.events, help="of the run, at least (%(default)s)")
    say("--kills", type=int, default=plan.kills, help="SIGKILLs of run and store (%(default)s)")
    say("--seed", type=int, default=plan.seed, help="of the run (%(default)s)")
    say("--boots", type=int, default=20, help="starts of 8 workers, empty store (%(default)s)")
    options = parser.parse_args()
    kept = [_run(part, options) for part in options.parts or PARTS]
    return 0 if all(kept) else 1


def _run(part: str, options: argparse.Namespace) -> bool:
    if part == "table":
        print("\nthe table, at both doors (two minutes)", flush=True)
        return chaos_table.main()
    if part == "store":
        print("\nthe store", flush=True)
        return chaos_store.main(options.kills, options.boots)
    if part == "attacks":
        print("\nattacks (some minutes)", flush=True)
        return attacks.main()
    print("\neverything at once (some minutes)", flush=True)
    plan = chaos_run.Plan(options.events, options.kills, options.seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return chaos_run.report(chaos_run.run(plan, Path(folder) / "data"))


if __name__ == "__main__":
    sys.exit(main())
