"""Rates and percentiles of requests, by transaction, by release and over time.

Moments are as in :mod:`.reading`. Durations are in milliseconds, with an error of at most 2.44 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from app.insights import reading
from app.stats.buckets import UNKNOWN, percentiles
from app.stats.timings import PERFORMANCE, TIMINGS, timing_series, timings

SHARES = (0.5, 0.75, 0.95, 0.99)
By = Literal["transaction", "release"]
Sort = Literal["slowest", "failing", "busiest"]


class Rate(NamedTuple):
    """The number of requests, and the number of failed ones."""

    requests: int
    failures: int

    @property
    def share(self) -> float:
        """The share of failed requests, 0 to 1; 0 if there were no requests."""
        return self.failures / self.requests if self.requests else 0.0


class Percentiles(NamedTuple):
    """Percentiles of durations in milliseconds, ``None`` if no duration is known.

    :param measured: number of durations that they are computed from.
    """

    measured: int
    p50_ms: float | None
    p75_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Selection(reading.Selection):
    """The requests to read; ``None`` means any."""

    declared: ClassVar = PERFORMANCE
    transaction: str | None = None
    release: str | None = None
    environment: str | None = None


@dataclass
class Figures:
    """The figures of requests. Figures can be added up."""

    requests: int = 0
    failures: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, bucket: int, requests: int, failures: int) -> None:
        """Add a row of counts."""
        self.requests += requests
        self.failures += failures
        self.buckets[bucket] += requests

    def merge(self, other: Figures) -> None:
        """Add other figures."""
        self.requests += other.requests
        self.failures += other.failures
        self.buckets.update(other.buckets)

    @property
    def rate(self) -> Rate:
        """The number of requests and of failed requests."""
        return Rate(self.requests, self.failures)

    @property
    def percentiles(self) -> Percentiles:
        """The percentiles of the durations."""
        return Percentiles(
            self.requests - self.buckets[UNKNOWN], *percentiles(self.buckets, SHARES)
        )


class Line(NamedTuple):
    """A line of a list: the figures of one transaction or release."""

    name: str
    rate: Rate
    percentiles: Percentiles


def error_rate(conn: Connection, project_id: int, since: datetime, until: datetime) -> Rate:
    """Return how many requests a project answered, and how many failed."""
    return totals(conn, Selection(project_id, since, until)).rate


def sums_of_requests(
    of_project: ColumnElement[bool], ranges: Sequence[tuple[datetime, datetime]]
) -> Select[Any]:
    """Return a query for a row with the requests and the failed ones of each range in turn.

    :param of_project: a condition for rows of ``timing_series``.
    :param ranges: pairs of ``since`` and ``until``.
    """
    of, rows = timing_series.c, timings.c
    days = [moment.astimezone(UTC).date() for both in ranges for moment in both]
    minutes = [tuple(map(PERFORMANCE.time_of, both)) for both in ranges]
    ids = select(of.id).where(of_project, of.day.between(min(days), max(days)))
    sums = [
        func.coalesce(func.sum(case((rows.minute.between(first, end - 1), column), else_=0)), 0)
        for first, end in minutes
        for column in (rows.requests, rows.failures)
    ]
    return select(*(one.label(f"sum_{n}") for n, one in enumerate(sums))).where(
        rows.series_id.in_(ids),
        rows.minute >= min(first for first, _ in minutes),
        rows.minute < max(end for _, end in minutes),
    )


def latency(
    conn: Connection,
    project_id: int,
    since: datetime,
    until: datetime,
    transaction: str | None = None,
) -> Percentiles:
    """Return how long a project's requests took.

    :param transaction: only requests of this transaction.
    """
    return totals(conn, Selection(project_id, since, until, transaction)).percentiles


def totals(conn: Connection, selection: Selection) -> Figures:
    """Return the figures of all selected requests together."""
    return total_of(figures_by(conn, selection, "release"))


def total_of(found: Mapping[str, Figures]) -> Figures:
    """Return the sum of all figures."""
    total = Figures()
    for one in found.values():
        total.merge(one)
    return total


def figures_by(conn: Connection, selection: Selection, by: By) -> dict[str, Figures]:
    """Return the figures of each transaction, or of each release."""
    return survey(conn, selection)[by]


def survey(conn: Connection, selection: Selection) -> dict[By, dict[str, Figures]]:
    """Return the figures of each transaction and of each release. The rows are read only once."""
    found: dict[By, dict[str, Figures]] = {"transaction": {}, "release": {}}
    for (transaction, release), *row in reading.by_series(
        conn, selection, TIMINGS, "transaction", "release"
    ):
        found["transaction"].setdefault(transaction, Figures()).add(*row)
        found["release"].setdefault(release, Figures()).add(*row)
    return found


def over_time(conn: Connection, selection: Selection, step: timedelta) -> list[Figures]:
    """Return the figures of each step from ``since`` to ``until``, oldest first."""
    return reading.over_time(conn, selection, TIMINGS, step, Figures)


def ranked(found: Mapping[str, Figures], sort: Sort) -> list[Line]:
    """Return figures as sorted lines: slowest (by p95), most failing or busiest first."""
    lines = [Line(name, row.rate, row.percentiles) for name, row in found.items()]
    keys: dict[Sort, Callable[[Line], tuple[float, ...]]] = {
        "slowest": lambda line: (-(line.percentiles.p95_ms or 0), -line.rate.requests),
        "failing": lambda line: (-line.rate.share, -line.rate.failures, -line.rate.requests),
        "busiest": lambda line: (-line.rate.requests,),
    }
    return sorted(lines, key=lambda line: (*keys[sort](line), line.name))
