"""The delay of an error that happens inside an open write transaction of the application."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing

from app import create_app
from app.sentry import capture_message
from app.web import access
from benchmarks.goals import Figure, run_alone
from config import load_config

LIMIT_MS = 300
TRIES = 20


def measure() -> Iterator[Figure]:
    """Measure an error that propagates, and one that is logged."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"SENTRY_TRACES_SAMPLE_RATE": "0", "LOG_LEVEL": "CRITICAL"}
        app = create_app(load_config({}, DATA_DIR=folder, ENVIRONMENT="testing", **settings))
        store, intake = app.extensions["devenviro.store"], app.extensions["devenviro.intake"]

        def fails() -> None:
            with store.write():
                raise RuntimeError("inside my own transaction")

        def logs() -> str:
            # Its own connection, like code that does not know the store's connections.
            with closing(sqlite3.connect(str(store.url.database))) as connection:
                connection.execute("BEGIN IMMEDIATE")
                capture_message("inside my own transaction")
            return "fine"

        app.add_url_rule("/fails", "fails", access.anyone(fails))
        app.add_url_rule("/logs", "logs", access.anyone(logs))
        for path, status in (("/fails", 500), ("/logs", 200)):
            times = _ms(app, path, status)
            yield Figure(f"{path}, ms at worst", max(times), LIMIT_MS)
            yield Figure(f"{path}, ms (median)", statistics.median(times))
        intake.close()
        store.dispose()


def _ms(app: object, path: str, status: int) -> list[float]:
    client = app.test_client()  # type: ignore[attr-defined]
    times = []
    for _ in range(TRIES):
        started = time.monotonic()
        assert client.get(path).status_code == status
        times.append((time.monotonic() - started) * 1000)
    return times


if __name__ == "__main__":
    run_alone(__doc__, measure)
