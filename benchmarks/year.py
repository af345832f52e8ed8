"""A year of check-ins through both databases: every run, failure and recovery as counted apart.

`python -m benchmarks.year [sqlite|postgresql]` plays the schedules of `tests/monitors/year.py`
in four time zones: about 22,000 runs, each check-in recorded by itself, with time passing between
them as the background task lets it pass. What must be found is counted on the wall clock without
the library that reads crontabs. It takes four to seven minutes of CPU a database. The suite
plays the days around each change of the clock.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from app.monitors import watch
from app.projects import create_project
from app.store import Store
from tests import postgres
from tests.monitors.year import DAYS, Player, found_rows, jobs_of

DATABASES = ("sqlite", "postgresql")


def main(names: list[str]) -> bool:
    """Play the year through databases; return whether everything was as it was counted."""
    # Here nobody looks every two seconds, and a year has no outage.
    watch.AWAY_AFTER = timedelta(days=400)
    return all([_plays(name) for name in names])


def _plays(name: str) -> bool:
    jobs, began, wrong = jobs_of(DAYS), time.monotonic(), 0
    with _store(name) as store:
        player = Player(store, jobs)
        player.play()
        for job in jobs:
            told = (player.fails[job.slug], player.recovers[job.slug])
            is_right = found_rows(store, job) == job.story.rows
            is_right &= told == (job.story.fails, job.story.recovers)
            wrong += not is_right
            words = " ".join(str(value) for value in job.config.values() if value is not None)
            counts = ", ".join(f"{count:,} {status}" for status, count in job.story.count.items())
            print(
                f"  {'equal' if is_right else 'WRONG'}  {words}: {counts}; failed {told[0]} times"
            )
    late = len(player.wrongly_on_time)
    runs = sum(len(job.story.rows) for job in jobs)
    seconds = time.monotonic() - began
    print(
        f"{name}: {runs:,} runs of {len(jobs)} jobs, {wrong} jobs differ, {late} were not late;"
        f" {seconds:,.0f} s",
        flush=True,
    )
    return not wrong and not late


@contextmanager
def _store(name: str) -> Iterator[Store]:
    if name == "postgresql":
        database = postgres.create(f"year_{time.time_ns()}")
        try:
            with _opened(postgres.url_of(database)) as store:
                yield store
        finally:
            postgres.drop(database)
        return
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        _opened(f"sqlite:///{Path(folder) / 'year.db'}") as store,
    ):
        yield store


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = Store(url)
    store.migrate()
    create_project(store, "Year")
    try:
        yield store
    finally:
        store.dispose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", choices=[[], *DATABASES], metavar="DATABASE")
    sys.exit(not main(parser.parse_args().databases or list(DATABASES)))
