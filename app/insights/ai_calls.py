"""What AI calls took: by model, by operation, over time, and the latest one by one.

Moments are as in :mod:`.reading`, to the hour. Durations are in milliseconds, at most 2.44 % off.
A span of an agent encloses those of its calls, tokens included, so what models took is told apart
from it: by ``kind``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from sqlalchemy import Connection, Row, select

from app.events.tables import envelopes
from app.insights import reading
from app.insights.performance import Figures
from app.protocol.ai_call import Kind
from app.stats.ai_calls import AI_CALLS, CALLS
from app.stats.tables import ai_calls

By = Literal["model", "operation"]
Sort = Literal["busiest", "tokens", "slowest", "failing"]
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
# Calls are counted by the hour, so steps are whole hours.
PERIODS = {
    "day": reading.PERIODS["day"]._replace(step=timedelta(hours=1)),
    **{name: reading.PERIODS[name] for name in ("week", "quarter")},
}


@dataclass(frozen=True)
class Selection(reading.Selection):
    """What is looked at; ``None`` means any."""

    declared: ClassVar = AI_CALLS
    kind: str | None = None
    model: str | None = None
    operation: str | None = None
    release: str | None = None
    environment: str | None = None

    @property
    def headline(self) -> Selection:
        """The same, of models alone where no operation is chosen."""
        return self if self.operation else replace(self, kind="model")


@dataclass
class CallFigures(Figures):
    """What was counted of calls, its requests; adds up."""

    tokens: Counter[str] = field(default_factory=Counter)

    @property
    def input_tokens(self) -> int:
        """What was asked with, cached ones included; of calls that say so, as all of these are."""
        return self.tokens["input_tokens"]

    @property
    def output_tokens(self) -> int:
        """What was answered with, those of reasoning included."""
        return self.tokens["output_tokens"]

    @property
    def total_tokens(self) -> int:
        """Both, or the total where a call says only that."""
        return self.tokens["total_tokens"]

    def add(self, bucket: int, requests: int, failures: int, *tokens: int) -> None:
        """Add a row."""
        super().add(bucket, int(requests), int(failures))
        self.tokens.update(dict(zip(_TOKENS, map(int, tokens), strict=True)))

    def merge(self, other: Figures) -> None:
        """Add the figures of something else."""
        super().merge(other)
        if isinstance(other, CallFigures):
            self.tokens.update(other.tokens)


class CallLine(NamedTuple):
    """What a list shows of one model, or of one operation and what does it."""

    name: str
    kind: Kind
    figures: CallFigures


def survey(conn: Connection, selection: Selection) -> dict[By, list[CallLine]]:
    """Return the figures of each operation, and of each model.

    Of what models did themselves, where no operation is chosen.
    """
    found: dict[By, dict[tuple[str, Kind], CallFigures]] = {"model": {}, "operation": {}}
    for (kind, operation, model), *row in reading.by_series(
        conn, selection, CALLS, "kind", "operation", "model"
    ):
        found["operation"].setdefault((operation, kind), CallFigures()).add(*row)
        if kind == "model" or selection.operation:
            found["model"].setdefault((model, kind), CallFigures()).add(*row)
    return {
        by: [CallLine(name, kind, figures) for (name, kind), figures in some.items()]
        for by, some in found.items()
    }


def total_of(lines: list[CallLine]) -> CallFigures:
    """Return the sum of figures."""
    total = CallFigures()
    for line in lines:
        total.merge(line.figures)
    return total


def over_time(conn: Connection, selection: Selection, step: timedelta) -> list[CallFigures]:
    """Return the figures of each step from ``since`` to ``until``, oldest first.

    :param step: whole hours.
    """
    return reading.over_time(conn, selection, CALLS, step, CallFigures)


def ranked(lines: list[CallLine], sort: Sort) -> list[CallLine]:
    """Return lines in an order: most calls, most tokens, slowest (p95) or most failing first."""
    keys: dict[Sort, Callable[[CallFigures], tuple[float, ...]]] = {
        "busiest": lambda of: (),
        "tokens": lambda of: (-of.total_tokens,),
        "slowest": lambda of: (-(of.percentiles.p95_ms or 0),),
        "failing": lambda of: (-of.rate.share, -of.failures),
    }
    return sorted(
        lines, key=lambda line: (*keys[sort](line.figures), -line.figures.requests, line.name)
    )


def latest(
    conn: Connection, selection: Selection, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return the calls that are kept, newest first, each with ``envelope_id``, ``None`` once gone.

    :param before: the row id after which the page goes on, exclusive.
    """
    query = select(ai_calls, envelopes.c.id.label("envelope_id"))
    at = ai_calls.c.received_at
    chosen = selection.chosen(ai_calls.c)
    query = query.where(*chosen, at >= selection.since, at < selection.until)
    query = query.outerjoin(envelopes, envelopes.c.uid == ai_calls.c.envelope_uid)
    if before is not None:
        query = query.where(ai_calls.c.id < before)
    return list(conn.execute(query.order_by(ai_calls.c.id.desc()).limit(limit)))
