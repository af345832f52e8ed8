"""Figures of AI calls: by model, by operation, over time, and the latest calls as rows.

Moments are as in :mod:`.reading`, to the hour. Durations are in milliseconds, with an error of at
most 2.44 %. The span of an agent includes the spans of its calls and their tokens. So ``kind``
separates the figures of models from those of agents.
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
    **{name: reading.PERIODS[name] for name in ("week", "month", "quarter")},
}


@dataclass(frozen=True)
class Selection(reading.Selection):
    """The calls to read; ``None`` means any."""

    declared: ClassVar = AI_CALLS
    kind: str | None = None
    model: str | None = None
    operation: str | None = None
    release: str | None = None
    environment: str | None = None

    @property
    def headline(self) -> Selection:
        """The selection for the headline: only calls of models, if no operation is chosen."""
        return self if self.operation else replace(self, kind="model")


@dataclass
class CallFigures(Figures):
    """The figures of calls. ``requests`` counts the calls. Figures can be added up."""

    tokens: Counter[str] = field(default_factory=Counter)

    @property
    def input_tokens(self) -> int:
        """Input tokens, including cached ones. Like all token figures, only of calls that state
        them.
        """
        return self.tokens["input_tokens"]

    @property
    def output_tokens(self) -> int:
        """Output tokens, including those of reasoning."""
        return self.tokens["output_tokens"]

    @property
    def total_tokens(self) -> int:
        """Input and output tokens, or the total of calls that state only a total."""
        return self.tokens["total_tokens"]

    def add(self, bucket: int, requests: int, failures: int, *tokens: int) -> None:
        """Add a row of counts."""
        super().add(bucket, int(requests), int(failures))
        self.tokens.update(dict(zip(_TOKENS, map(int, tokens), strict=True)))

    def merge(self, other: Figures) -> None:
        """Add other figures."""
        super().merge(other)
        if isinstance(other, CallFigures):
            self.tokens.update(other.tokens)


class CallLine(NamedTuple):
    """A line of a list: the figures of one model, or of one operation of a kind."""

    name: str
    kind: Kind
    figures: CallFigures


def survey(conn: Connection, selection: Selection) -> dict[By, list[CallLine]]:
    """Return the figures of each operation, and of each model.

    If no operation is chosen, the figures of models include only the calls of models.
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
    """Return the sum of the figures of all lines."""
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
    """Return sorted lines: most calls, most tokens, slowest (p95) or most failing first."""
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
    """Return the stored calls, newest first, each with ``envelope_id``.

    ``envelope_id`` is ``None`` if the envelope was removed.

    :param before: return only calls with a smaller row id than this.
    """
    query = select(ai_calls, envelopes.c.id.label("envelope_id"))
    at = ai_calls.c.received_at
    chosen = selection.chosen(ai_calls.c)
    query = query.where(*chosen, at >= selection.since, at < selection.until)
    query = query.outerjoin(envelopes, envelopes.c.uid == ai_calls.c.envelope_uid)
    if before is not None:
        query = query.where(ai_calls.c.id < before)
    return list(conn.execute(query.order_by(ai_calls.c.id.desc()).limit(limit)))
