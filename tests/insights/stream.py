"""A known stream of requests, and exact percentiles, computed without the service's code."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.intake import Intake
from app.intake.emergency import EmergencyFolder
from app.protocol.envelope import Envelope, Item
from app.protocol.scrub import Scrubber
from app.store import Store

# The largest relative error that a percentile may have.
TOLERANCE = 0.025


@dataclass(frozen=True)
class Request:
    """A request; ``ms`` is ``None`` for an invalid duration."""

    transaction: str
    release: str
    ms: float | None
    failed: bool

    def envelope(self, event_id: str, ended: float = 1795457965.0) -> Envelope:
        start = ended + 60 if self.ms is None else ended - self.ms / 1000
        payload: dict[str, Any] = {
            "type": "transaction",
            "event_id": event_id,
            "transaction": self.transaction,
            "release": self.release,
            "environment": "production",
            "start_timestamp": start,
            "timestamp": ended,
            "contexts": {"trace": {"status": "internal_error" if self.failed else "ok"}},
        }
        return Envelope({"event_id": event_id}, [Item({"type": "transaction"}, payload)])


def requests(count: int, seed: int = 7) -> list[Request]:
    """Return requests of three routes and two releases, some of them with invalid durations.

    They take from milliseconds to minutes.
    """
    chance = random.Random(seed)
    routes = {"/cart": (2.5, 0.6), "/search": (5.0, 1.2), "/report": (8.0, 0.9)}
    found = []
    for _ in range(count):
        name = chance.choice(list(routes))
        ms = round(chance.lognormvariate(*routes[name]), 3)
        request = Request(name, chance.choice(["1.0", "2.0"]), ms, chance.random() < 0.07)
        found.append(replace(request, ms=None) if chance.random() < 0.02 else request)
    return found


def exact(durations: list[float], share: float) -> float:
    """Return the percentile by nearest rank, from all sorted durations."""
    return sorted(durations)[max(1, math.ceil(round(share * len(durations), 9))) - 1]


def feed(url: str, folder: str, project_id: int, part: int, parts: int, count: int) -> None:
    """Accept one part of the stream, each envelope twice; each process runs it for its part."""
    store = Store(url)
    intake = Intake(store, EmergencyFolder(Path(folder)), Scrubber())
    for number, request in list(enumerate(requests(count)))[part::parts]:
        for _ in range(2):
            # An id of zeros is not an id: the second envelope would not be recognised.
            envelope = request.envelope(f"{number + 1:032x}")
            intake.accept(envelope, project_id=project_id, timeout_s=60)
    intake.close()
    store.dispose()
