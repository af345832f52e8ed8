"""An outbox as after an outage of Sentry: ordinary envelopes of many bugs, all queued."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import create_app
from app.protocol.envelope import parse_envelope
from benchmarks.envelopes import envelope_of, event_of
from config import load_config
from tests.server_process import settings

# Concurrent callers share transactions, as callers of the ingest routes do.
CALLERS = 16


def queue_envelopes(
    data_dir: Path,
    dsn: str,
    count: int,
    bugs: int,
    make: Callable[[int, int], dict[str, Any]] = event_of,
) -> list[str]:
    """Store ``count`` envelopes that wait for a destination; return the ids of their events.

    :param bugs: the number of bugs that the events are of, in turn.
    :param make: returns an event for the numbers of bug and occurrence.
    """
    config = load_config(settings(data_dir), SENTRY_DSN=dsn)
    extensions = create_app(config).extensions
    store, intake = extensions["devenviro.store"], extensions["devenviro.intake"]
    numbers, lock, event_ids = iter(range(count)), threading.Lock(), []

    def call() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            event = make(number % bugs, number)
            envelope = parse_envelope(envelope_of(event))
            intake.accept(envelope, project_id=1, timeout_s=60)
            event_ids.append(event["event_id"])
            if sys.stderr.isatty() and number % 50 == 0:
                print(f"\r    queued {number + 1} of {count}", end="", file=sys.stderr)

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    if sys.stderr.isatty():
        print(file=sys.stderr)
    intake.close()
    store.dispose()
    return event_ids


def arrivals_per_s(times: list[float]) -> float:
    """Return the rate of events a second between the first and the last of these times."""
    seconds = max(times) - min(times) if times else 0.0
    return (len(times) - 1) / seconds if seconds else 0.0


def lost(event_ids: list[str], arrived: list[str]) -> int:
    """Return how many of the events did not arrive."""
    return len((Counter(event_ids) - Counter(arrived)).keys())
