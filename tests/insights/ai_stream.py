"""A known stream of AI calls, in both forms that SDKs send."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.protocol.envelope import Envelope, Item

ENDED = 1795457965.0
KINDS = {
    "chat": "model",
    "embeddings": "model",
    "invoke_agent": "agent",
    "execute_tool": "tool",
}


@dataclass(frozen=True)
class Call:
    """A call; ``ms`` is ``None`` for an invalid duration, tokens are ``None`` if not reported."""

    number: int
    operation: str
    model: str
    release: str
    ms: float | None
    failed: bool
    input_tokens: int | None
    output_tokens: int | None

    @property
    def kind(self) -> str:
        return KINDS[self.operation]

    def data(self) -> dict[str, Any]:
        """Return the data of its span."""
        given = {
            "gen_ai.operation.name": self.operation,
            "gen_ai.request.model": self.model,
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": self.input_tokens,
            "gen_ai.usage.output_tokens": self.output_tokens,
            "gen_ai.input.messages": "what nobody shall read",
        }
        return {name: value for name, value in given.items() if value is not None}

    def span(self) -> dict[str, Any]:
        """Return the fields of its span that both forms have."""
        start = ENDED + 60 if self.ms is None else ENDED - self.ms / 1000
        ids = {"trace_id": f"{self.number + 1:032x}", "span_id": f"{self.number + 1:016x}"}
        return {**ids, "start_timestamp": start, "status": "error" if self.failed else "ok"}


def calls(count: int, seed: int = 7) -> list[Call]:
    """Return calls of models, agents and tools in two releases, some of them with odd values."""
    chance = random.Random(seed)
    models = {"gpt-4o": (7.0, 0.8), "claude": (8.0, 0.5), "small": (3.0, 0.6)}
    found = []
    for number in range(count):
        operation, model = chance.choice(list(KINDS)), chance.choice(list(models))
        ms = round(chance.lognormvariate(*models[model]), 3)
        found.append(
            Call(
                number,
                operation,
                model,
                chance.choice(["1.0", "2.0"]),
                None if chance.random() < 0.03 else ms,
                chance.random() < 0.1,
                None if operation == "execute_tool" else chance.randrange(10_000),
                chance.randrange(1000) if operation == "chat" else None,
            )
        )
    return found


def transaction(some: Sequence[Call], event_id: str) -> Envelope:
    """Return calls of one release as a transaction; the first call is the transaction itself."""
    own, *others = some
    root = {**own.span(), "op": f"gen_ai.{own.operation}", "data": own.data()}
    spans = [
        {
            **other.span(),
            "op": f"gen_ai.{other.operation}",
            "data": other.data(),
            "timestamp": ENDED,
        }
        for other in others
    ]
    payload = {
        "type": "transaction",
        "event_id": event_id,
        "transaction": "/ask",
        "release": own.release,
        "environment": "production",
        "start_timestamp": root["start_timestamp"],
        "timestamp": ENDED,
        "contexts": {"trace": root},
        "spans": [{"op": "db.sql.query", "span_id": "e" * 16}, *spans],
    }
    return Envelope({"event_id": event_id}, [Item({"type": "transaction"}, payload)])


def stream(some: Sequence[Call]) -> Envelope:
    """Return calls of any releases as streamed spans."""
    items = [{"name": "no call", "attributes": {"sentry.op": {"value": "db"}}}]
    for one in some:
        names = {"sentry.op": f"gen_ai.{one.operation}", "sentry.release": one.release}
        names |= {"sentry.environment": "production", **one.data()}
        attributes = {name: {"value": value, "type": "any"} for name, value in names.items()}
        items.append({**one.span(), "end_timestamp": ENDED, "attributes": attributes})
    return Envelope({}, [Item({"type": "span"}, {"version": 2, "items": items})])


def envelopes(given: Sequence[Call]) -> Iterator[Envelope]:
    """Yield every call once, ordered by release; the two forms alternate."""
    for release in ("1.0", "2.0"):
        some = [one for one in given if one.release == release]
        for first in range(0, len(some), 25):
            part = some[first : first + 25]
            event_id = f"{part[0].number:032x}"
            yield stream(part) if first % 50 else transaction(part, event_id)
