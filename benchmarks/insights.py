"""The cost of insights: in a request of the application, and in the ingest routes.

    python -m benchmarks.insights

The measurement runs in one process without a server, whose own work would hide the cost. Blocks of
counted requests alternate with blocks of uncounted requests, and the median of their CPU ratios is
printed. The blocks are short, so that both blocks of a pair have the same noise: with two servers
that alternated every second the ratio varied by a tenth. At the end of each block its counts are
written, as if a second had passed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from app import create_app
from app.intake import service
from app.projects import create_project
from app.protocol.measures import NOTHING
from app.web import access, observer
from benchmarks.envelopes import envelope_of, event_of, metrics_of, session_of, transaction_of
from benchmarks.goals import Figure, run_alone
from config import load_config

PAIRS = 60
# The requests that a process answers in a second of moderate load. The first WARM blocks are not
# counted.
REQUESTS, ENVELOPES, WARM = 200, 50, 3
LIMIT = 1.05

intake: Any = service


class Bench:
    """An application whose insights can be switched off."""

    def __init__(self, folder: Path) -> None:
        self.app = create_app(
            load_config({}, ENVIRONMENT="testing", DATA_DIR=folder, SENTRY_TRACES_SAMPLE_RATE=0.1)
        )
        self.app.get("/fine")(access.anyone(lambda: {"ok": True}))
        self._store = self.app.extensions["devenviro.store"]
        self._intake = self.app.extensions["devenviro.intake"]
        project = create_project(self._store, "shop")
        self._door = f"/api/{project.id}/envelope/?sentry_key={project.keys[0]}"
        self._numbers = iter(range(10**9))

    def requests_us(self) -> float:
        """Return the CPU of the cheapest request, in microseconds."""
        environ = EnvironBuilder("/fine").get_environ()
        return self._cpu_us([dict(environ) for _ in range(REQUESTS)])

    def envelopes_us(self) -> float:
        """Return the CPU of a transaction with ten spans, alone in its commit, in microseconds."""
        numbers = [next(self._numbers) for _ in range(ENVELOPES)]
        return self._cpu_us([self._posted(envelope_of(transaction_of(n))) for n in numbers])

    def metrics_us(self) -> float:
        """Return the CPU of an envelope of 100 values of metrics, in microseconds."""
        return self._cpu_us([self._posted(metrics_of(next(self._numbers))) for _ in range(20)])

    def events_us(self) -> float:
        """Return the CPU of an ordinary event without insight data, in microseconds."""
        numbers = [next(self._numbers) for _ in range(20)]
        return self._cpu_us([self._posted(envelope_of(event_of(n % 50, n))) for n in numbers])

    def sessions_us(self) -> float:
        """Return the CPU of the end of a user's session, in microseconds."""
        numbers = [next(self._numbers) for _ in range(ENVELOPES)]
        return self._cpu_us([self._posted(session_of(n)) for n in numbers])

    def close(self) -> None:
        """Write all remaining counts, and close the store."""
        self._intake.close()
        self._store.dispose()

    def _posted(self, body: bytes) -> dict[str, Any]:
        builder = EnvironBuilder(self._door, method="POST", input_stream=BytesIO(body))
        return {**builder.get_environ(), "CONTENT_LENGTH": str(len(body))}

    def _cpu_us(self, environs: list[dict[str, Any]]) -> float:
        started = time.process_time()
        for environ in environs:
            answer = self.app(environ, _is_fine)
            list(answer)
            answer.close()  # type: ignore[attr-defined]
        self._intake.flush()
        return (time.process_time() - started) / len(environs) * 1e6


def _is_fine(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
    assert status.startswith("200"), status
    return lambda data: None


@contextmanager
def uncounted(app: Flask) -> Iterator[None]:
    """Switch off insights, in requests of the application and in the ingest routes."""
    hooks = app.after_request_funcs[None], app.teardown_request_funcs[None]
    kept = [list(some) for some in hooks]
    reads = intake.read_measures, intake.with_timings
    for some in hooks:
        some[:] = [one for one in some if one.__module__ != observer.__name__]
    intake.read_measures = lambda envelope: NOTHING
    intake.with_timings = lambda measures, envelope: measures
    try:
        yield
    finally:
        intake.read_measures, intake.with_timings = reads
        for some, before in zip(hooks, kept, strict=True):
            some[:] = before


def compare(app: Flask, measure: Callable[[], float]) -> tuple[float, float]:
    """Return the microseconds with counting, and their ratio to those without counting."""
    pairs = []
    for number in range(WARM + PAIRS):
        counted = measure() if number % 2 else 0.0
        with uncounted(app):
            plain = measure()
        pairs.append((counted or measure(), plain))
    pairs = pairs[WARM:]
    ratio = statistics.median(counted / plain for counted, plain in pairs)
    return statistics.median(counted for counted, _ in pairs), ratio


def measure() -> Iterator[Figure]:
    """Measure a request, and what is sent to the ingest routes."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        cases = {
            "a request": bench.requests_us,
            "a transaction at the door": bench.envelopes_us,
            "a session at the door": bench.sessions_us,
            "100 values of metrics at the door": bench.metrics_us,
            "an event at the door": bench.events_us,
        }
        for name, cpu_us in cases.items():
            counted_us, ratio = compare(bench.app, cpu_us)
            must = LIMIT if name == "a request" else None
            yield Figure(f"{name}, counted ÷ uncounted", ratio, must)
            yield Figure(f"{name}, us of CPU", counted_us)
        bench.close()


if __name__ == "__main__":
    run_alone(__doc__, measure)
