"""Rates and percentiles of what was counted, by transaction, by release, over time.

Moments are aware; ``since`` counts, ``until`` does not, both to the minute, and to the hour where
minutes are rolled up already (after two days). Durations are in milliseconds, at most 2.44 % off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import BindParameter, Column, Connection, Integer, Select, func, literal, select

from app.stats.buckets import UNKNOWN, percentiles
from app.stats.series import day_of, minute_of
from app.stats.tables import timing_series, timings

SHARES = (0.5, 0.75, 0.95, 0.99)
By = Literal["transaction", "release"]
Sort = Literal["slowest", "failing", "busiest"]


class Period(NamedTuple):
    """How far back one looks, in how long steps; steps divide it, and a day."""

    label: str
    length: timedelta
    step: timedelta


# Steps beyond the two days that have minutes are whole hours.
PERIODS = {
    "hour": Period("Last hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": Period("Last 24 hours", timedelta(days=1), timedelta(minutes=30)),
    "week": Period("Last 7 days", timedelta(days=7), timedelta(hours=4)),
    "quarter": Period("Last 90 days", timedelta(days=90), timedelta(days=1)),
}


class Rate(NamedTuple):
    """Requests, and how many of them failed; both are counts."""

    requests: int
    failures: int

    @property
    def share(self) -> float:
        """The failures' share, 0 to 1; 0 where there were no requests."""
        return self.failures / self.requests if self.requests else 0.0


class Percentiles(NamedTuple):
    """Durations in milliseconds, ``None`` where none is known.

    :param measured: how many durations they are made of.
    """

    measured: int
    p50_ms: float | None
    p75_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Selection:
    """What is looked at; ``None`` means whatever."""

    project_id: int
    since: datetime
    until: datetime
    transaction: str | None = None
    release: str | None = None
    environment: str | None = None

    @property
    def minutes(self) -> tuple[int, int]:
        """The first minute, and the first that does not count any more."""
        return minute_of(self.since), minute_of(self.until)

    def series(self, *columns: Column[Any]) -> Select[Any]:
        """Select from the series that may have such minutes."""
        first, end = self.minutes
        of, query = timing_series.c, select(*columns)
        query = query.where(of.project_id == self.project_id)
        query = query.where(of.day.between(day_of(first), day_of(end)))
        for name in ("transaction", "release", "environment"):
            if (value := getattr(self, name)) is not None:
                query = query.where(of[name] == value)
        return query


@dataclass
class Figures:
    """What was counted of one thing; adds up."""

    requests: int = 0
    failures: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, bucket: int, requests: int, failures: int) -> None:
        """Add a row."""
        self.requests += requests
        self.failures += failures
        self.buckets[bucket] += requests

    @property
    def rate(self) -> Rate:
        """How many failed."""
        return Rate(self.requests, self.failures)

    @property
    def percentiles(self) -> Percentiles:
        """How long they took."""
        return Percentiles(
            self.requests - self.buckets[UNKNOWN], *percentiles(self.buckets, SHARES)
        )


class Line(NamedTuple):
    """What a list shows of one thing."""

    name: str
    rate: Rate
    percentiles: Percentiles


def window_of(
    period: str, now: datetime, periods: Mapping[str, Period] = PERIODS
) -> tuple[datetime, datetime]:
    """Return ``since`` and ``until`` of one of the periods: whole steps, the last one begun."""
    _, length, step = periods[period]
    begun = int(now.timestamp() // step.total_seconds()) + 1
    until = datetime.fromtimestamp(begun * step.total_seconds(), UTC)
    return until - length, until


def error_rate(conn: Connection, project_id: int, since: datetime, until: datetime) -> Rate:
    """Return how many requests a project answered, and how many failed."""
    return totals(conn, Selection(project_id, since, until)).rate


def latency(
    conn: Connection,
    project_id: int,
    since: datetime,
    until: datetime,
    transaction: str | None = None,
) -> Percentiles:
    """Return how long a project's requests took.

    :param transaction: only those of this name.
    """
    return totals(conn, Selection(project_id, since, until, transaction)).percentiles


def totals(conn: Connection, selection: Selection) -> Figures:
    """Return the figures of everything that is selected."""
    return total_of(figures_by(conn, selection, "release"))


def total_of(found: Mapping[str, Figures]) -> Figures:
    """Return the sum of figures."""
    total = Figures()
    for row in found.values():
        total.requests += row.requests
        total.failures += row.failures
        total.buckets.update(row.buckets)
    return total


def figures_by(conn: Connection, selection: Selection, by: By) -> dict[str, Figures]:
    """Return the figures of each transaction, or of each release."""
    return survey(conn, selection)[by]


def survey(conn: Connection, selection: Selection) -> dict[By, dict[str, Figures]]:
    """Return the figures of each transaction and of each release, read once for both."""
    columns = timing_series.c
    names = {
        series_id: (transaction, release)
        for series_id, transaction, release in conn.execute(
            selection.series(columns.id, columns.transaction, columns.release)
        )
    }
    found: dict[By, dict[str, Figures]] = {"transaction": {}, "release": {}}
    # By number and not by name: comparing texts would take as long again as reading the rows.
    for series_id, *row in conn.execute(_grouped(selection, timings.c.series_id)):
        transaction, release = names[series_id]
        found["transaction"].setdefault(transaction, Figures()).add(*row)
        found["release"].setdefault(release, Figures()).add(*row)
    return found


def over_time(conn: Connection, selection: Selection, step: timedelta) -> list[Figures]:
    """Return the figures of each step from ``since`` to ``until``, oldest first."""
    minutes, first = int(step.total_seconds()) // 60, minute_of(selection.since)
    steps = -(-(minute_of(selection.until) - first) // minutes)
    found = [Figures() for _ in range(steps)]
    number = number_of_step(timings.c.minute, first, step)
    for position, *row in conn.execute(_grouped(selection, number)):
        found[position].add(*row)
    return found


def ranked(found: Mapping[str, Figures], sort: Sort) -> list[Line]:
    """Return figures as lines: the slowest (by p95), most failing or busiest of them first."""
    lines = [Line(name, row.rate, row.percentiles) for name, row in found.items()]
    keys: dict[Sort, Callable[[Line], tuple[float, ...]]] = {
        "slowest": lambda line: (-(line.percentiles.p95_ms or 0), -line.rate.requests),
        "failing": lambda line: (-line.rate.share, -line.rate.failures, -line.rate.requests),
        "busiest": lambda line: (-line.rate.requests,),
    }
    return sorted(lines, key=lambda line: (*keys[sort](line), line.name))


def options_of(conn: Connection, project_id: int, since: datetime) -> dict[str, list[str]]:
    """Return the releases and environments that a project had, to choose from."""
    columns = timing_series.c
    query = select(columns.release, columns.environment).distinct()
    query = query.where(columns.project_id == project_id, columns.day >= _day(since))
    rows = conn.execute(query).all()
    return {
        "release": sorted({row.release for row in rows if row.release}, reverse=True)[:100],
        "environment": sorted({row.environment for row in rows if row.environment}),
    }


def has_any(conn: Connection, project_id: int) -> bool:
    """Tell whether anything of a project was counted and not removed since."""
    query = select(timing_series.c.id).where(timing_series.c.project_id == project_id)
    return conn.execute(query.limit(1)).first() is not None


def number_of_step(minute: Column[int], first: int, step: timedelta) -> Any:
    """Return an expression for the number of the step, from 0, that a minute is in."""
    return (minute - written_out(first)) // written_out(int(step.total_seconds()) // 60)


def written_out(number: int) -> BindParameter[int]:
    """Return a number for SELECT and GROUP BY, whose parameters PostgreSQL takes for two."""
    return literal(number, Integer, literal_execute=True)


def _day(moment: datetime) -> Any:
    return moment.astimezone(UTC).date()


def _grouped(selection: Selection, by: Any) -> Select[Any]:
    """Select buckets with their requests and failures, apart by what is given."""
    first, end = selection.minutes
    sums = func.sum(timings.c.requests), func.sum(timings.c.failures)
    return (
        select(by, timings.c.bucket, *sums)
        .where(
            timings.c.series_id.in_(selection.series(timing_series.c.id)),
            timings.c.minute >= first,
            timings.c.minute < end,
        )
        .group_by(by, timings.c.bucket)
    )
