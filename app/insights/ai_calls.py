"""What AI calls took: by model, by operation, over time, and the latest one by one.

Moments are aware; ``since`` counts, ``until`` does not, both to the hour. Durations are in
milliseconds, at most 2.44 % off. A span of an agent encloses those of its calls, tokens included,
so what models took is told apart from it: by ``kind``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, func, select

from app.events.tables import envelopes
from app.insights.performance import PERIODS as ALL_PERIODS
from app.insights.performance import Figures, written_out
from app.protocol.ai_call import Kind
from app.stats.ai_calls import SUMS, hour_of
from app.stats.series import day_of
from app.stats.tables import ai_calls, ai_hours, ai_series

By = Literal["model", "operation"]
Sort = Literal["busiest", "tokens", "slowest", "failing"]
HOUR = timedelta(hours=1)
# Calls are counted by the hour, so steps are whole hours.
PERIODS = {
    "day": ALL_PERIODS["day"]._replace(step=HOUR),
    **{name: ALL_PERIODS[name] for name in ("week", "quarter")},
}


@dataclass(frozen=True)
class Selection:
    """What is looked at; ``None`` means whatever."""

    project_id: int
    since: datetime
    until: datetime
    kind: str | None = None
    model: str | None = None
    operation: str | None = None
    release: str | None = None
    environment: str | None = None

    @property
    def hours(self) -> tuple[int, int]:
        """The first hour, and the first that does not count any more."""
        return hour_of(self.since), hour_of(self.until)

    @property
    def headline(self) -> Selection:
        """The same, of models alone where no operation is chosen."""
        return self if self.operation else replace(self, kind="model")

    def narrowed(self, query: Select[Any], of: Any) -> Select[Any]:
        """Return the query with what is chosen besides time."""
        query = query.where(of.project_id == self.project_id)
        for name in ("kind", "model", "operation", "release", "environment"):
            if (value := getattr(self, name)) is not None:
                query = query.where(of[name] == value)
        return query

    def series(self, *columns: Column[Any]) -> Select[Any]:
        """Select from the series that may have such hours."""
        first, end = self.hours
        days = ai_series.c.day.between(day_of(first * 60), day_of(end * 60))
        return self.narrowed(select(*columns), ai_series.c).where(days)


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

    def take(self, bucket: int, calls: int, failures: int, *tokens: int) -> None:
        """Add a row of sums, in the order of :data:`SUMS`."""
        self.add(bucket, int(calls), int(failures))
        self.tokens.update(dict(zip(SUMS[2:], map(int, tokens), strict=True)))

    def merge(self, other: CallFigures) -> None:
        """Add the figures of something else."""
        self.requests += other.requests
        self.failures += other.failures
        self.buckets.update(other.buckets)
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
    names = {
        series_id: names
        for series_id, *names in conn.execute(
            selection.series(
                ai_series.c.id, ai_series.c.kind, ai_series.c.operation, ai_series.c.model
            )
        )
    }
    found: dict[By, dict[tuple[str, Kind], CallFigures]] = {"model": {}, "operation": {}}
    # By number and not by name: comparing texts would take as long again as reading the rows.
    for series_id, *row in conn.execute(_grouped(selection, ai_hours.c.series_id)):
        kind, operation, model = names[series_id]
        found["operation"].setdefault((operation, kind), CallFigures()).take(*row)
        if kind == "model" or selection.operation:
            found["model"].setdefault((model, kind), CallFigures()).take(*row)
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
    (first, end), hours = selection.hours, int(step / HOUR)
    found = [CallFigures() for _ in range(-(-(end - first) // hours))]
    number = (ai_hours.c.hour - written_out(first)) // written_out(hours)
    for position, *row in conn.execute(_grouped(selection, number)):
        found[position].take(*row)
    return found


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
    query = selection.narrowed(query, ai_calls.c).where(at >= selection.since, at < selection.until)
    query = query.outerjoin(envelopes, envelopes.c.uid == ai_calls.c.envelope_uid)
    if before is not None:
        query = query.where(ai_calls.c.id < before)
    return list(conn.execute(query.order_by(ai_calls.c.id.desc()).limit(limit)))


def options_of(conn: Connection, project_id: int, since: datetime) -> dict[str, list[str]]:
    """Return the releases and environments that a project's calls had, to choose from."""
    of, day = ai_series.c, day_of(hour_of(since) * 60)
    query = select(of.release, of.environment).distinct()
    rows = conn.execute(query.where(of.project_id == project_id, of.day >= day)).all()
    return {
        "release": sorted({row.release for row in rows if row.release}, reverse=True)[:100],
        "environment": sorted({row.environment for row in rows if row.environment}),
    }


def has_any(conn: Connection, project_id: int) -> bool:
    """Tell whether any call of a project was counted and not removed since."""
    query = select(ai_series.c.id).where(ai_series.c.project_id == project_id)
    return conn.execute(query.limit(1)).first() is not None


def _grouped(selection: Selection, by: Any) -> Select[Any]:
    """Select buckets with their sums, apart by what is given."""
    first, end = selection.hours
    return (
        select(by, ai_hours.c.bucket, *(func.sum(ai_hours.c[name]) for name in SUMS))
        .where(
            ai_hours.c.series_id.in_(selection.series(ai_series.c.id)),
            ai_hours.c.hour >= first,
            ai_hours.c.hour < end,
        )
        .group_by(by, ai_hours.c.bucket)
    )
