"""A known stream of custom metrics."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from app.protocol.envelope import Envelope, Item

UNITS = {"orders": "", "queue.depth": "", "latency": "millisecond", "balance": "euro"}


@dataclass(frozen=True)
class Value:
    """One value of a metric."""

    name: str
    type: str
    value: float
    release: str = "1.0"
    at: float = 1795457850.0

    def payload(self) -> dict[str, Any]:
        attributes = {
            "sentry.release": {"value": self.release, "type": "string"},
            "sentry.environment": {"value": "production", "type": "string"},
            "user.id": {"value": str(self.value), "type": "string"},
        }
        found = {
            "timestamp": self.at,
            "trace_id": "c" * 32,
            "name": self.name,
            "type": self.type,
            "value": self.value,
            "attributes": attributes,
        }
        return found | ({"unit": UNITS[self.name]} if UNITS.get(self.name) else {})


def envelope(*payloads: Any, **headers: Any) -> Envelope:
    """Return an envelope of metrics as SDKs send it."""
    item = {"version": 2, "items": list(payloads)}
    return Envelope(dict(headers), [Item({"type": "trace_metric"}, item)])


def values(count: int, seed: int = 7, first_at: float = 1795457850.0) -> list[Value]:
    """Return values of each type in two releases; some are zero, negative, tiny or huge."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        name = chance.choice(["orders", "queue.depth", "latency", "balance"])
        kind = {"orders": "counter", "queue.depth": "gauge"}.get(name, "distribution")
        value: float = {
            "orders": float(chance.randint(1, 9)),
            "queue.depth": chance.uniform(-5, 400),
            "latency": chance.lognormvariate(4, 2),
            "balance": chance.choice([-1, 1]) * 10 ** chance.uniform(-30, 30),
        }[name]
        if chance.random() < 0.05:
            value = 0.0
        # A tenth of the values arrive 30 s after they were measured.
        at = first_at + number / 10 - (30 if chance.random() < 0.1 else 0)
        found.append(Value(name, kind, value, chance.choice(["1.0", "2.0"]), at))
    return found
