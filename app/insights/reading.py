"""Reading declared series (:mod:`app.stats.additive`): by name, over time, what to choose from.

Moments are aware; ``since`` counts, ``until`` does not, both to the minute, or to the hour where
counts are by the hour or minutes are rolled up already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from sqlalchemy import BindParameter, Column, Connection, Integer, Select, literal, select

from app.stats.additive import AdditiveSeries, Counts, day_of


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


def window_of(
    period: str, now: datetime, periods: Mapping[str, Period] = PERIODS
) -> tuple[datetime, datetime]:
    """Return ``since`` and ``until`` of one of the periods: whole steps, the last one begun."""
    _, length, step = periods[period]
    begun = int(now.timestamp() // step.total_seconds()) + 1
    until = datetime.fromtimestamp(begun * step.total_seconds(), UTC)
    return until - length, until


@dataclass(frozen=True)
class Selection:
    """What is looked at; a subclass has a field for each key, ``None`` means any."""

    declared: ClassVar[AdditiveSeries]
    project_id: int
    since: datetime
    until: datetime

    @property
    def times(self) -> tuple[int, int]:
        """The first minute (or hour), and the first that does not count any more."""
        return self.declared.time_of(self.since), self.declared.time_of(self.until)

    def step_length(self, step: timedelta) -> int:
        """Return how many minutes (or hours) a step has."""
        return int(step.total_seconds()) // 60 // self.declared.unit_minutes

    def steps(self, step: timedelta) -> int:
        """Return how many steps there are from ``since`` to ``until``."""
        first, end = self.times
        return -(-(end - first) // self.step_length(step))

    def step_of(self, counts: Counts, step: timedelta) -> Any:
        """Return an expression for the number of the step, from 0, that counts are in."""
        first, length = written_out(self.times[0]), written_out(self.step_length(step))
        return (counts.time - first) // length

    def chosen(self, columns: Any) -> list[Any]:
        """Return the conditions on a table with these columns, besides time."""
        names = [key.name for key in self.declared.keys if getattr(self, key.name) is not None]
        return [
            columns.project_id == self.project_id,
            *(columns[name] == getattr(self, name) for name in names),
        ]

    def of_series(self) -> list[Any]:
        """Return the conditions on series that may have such counts."""
        (first, end), unit = self.times, self.declared.unit_minutes
        of = self.declared.table.c
        days = of.day.between(day_of(first * unit), day_of(max(first, end - 1) * unit))
        return [days, *self.chosen(of)]

    def of_times(self, counts: Counts) -> list[Any]:
        """Return the conditions on the time of counts."""
        first, end = self.times
        return [counts.time >= first, counts.time < end]

    def series(self, *columns: Column[Any]) -> Select[Any]:
        """Select from the series that may have such counts."""
        return select(*columns).where(*self.of_series())

    def sums(self, counts: Counts, *by: Any, ids: Select[Any] | None = None) -> Select[Any]:
        """Select what is counted, apart by what is given and by bucket if there are buckets.

        :param ids: selects the series; by default all that are chosen.
        """
        ids = self.series(self.declared.table.c.id) if ids is None else ids
        by = (*by, counts.table.c.bucket) if counts.buckets else by
        of = counts.table.c.series_id.in_(ids), *self.of_times(counts)
        return select(*by, *counts.aggregates).where(*of).group_by(*by)


class Figures(Protocol):
    """What was counted of one thing."""

    def add(self, *row: Any) -> None:
        """Add a row of :meth:`Selection.sums`: bucket, if there are buckets, and sums."""


F = TypeVar("F", bound=Figures)


def by_series(
    conn: Connection, selection: Selection, counts: Counts, *names: str
) -> Iterator[tuple[Any, ...]]:
    """Yield the names of a series with each row of its sums."""
    columns = selection.declared.table.c
    query = selection.series(columns.id, *(columns[name] for name in names))
    names_of = {series_id: tuple(found) for series_id, *found in conn.execute(query)}
    # By number and not by name: comparing texts would take as long again as reading the rows.
    for series_id, *row in conn.execute(selection.sums(counts, counts.table.c.series_id)):
        yield names_of[series_id], *row


def over_time(
    conn: Connection, selection: Selection, counts: Counts, step: timedelta, make: type[F]
) -> list[F]:
    """Return the figures of each step from ``since`` to ``until``, oldest first.

    :param step: whole minutes, or hours.
    """
    found = [make() for _ in range(selection.steps(step))]
    for number, *row in conn.execute(selection.sums(counts, selection.step_of(counts, step))):
        found[number].add(*row)
    return found


def options_of(
    declared: AdditiveSeries, conn: Connection, project_id: int, since: datetime
) -> dict[str, list[str]]:
    """Return the releases and environments that a project had, to choose from."""
    of, day = declared.table.c, since.astimezone(UTC).date()
    query = select(of.release, of.environment).distinct()
    rows = conn.execute(query.where(of.project_id == project_id, of.day >= day)).all()
    return {
        "release": sorted({row.release for row in rows if row.release}, reverse=True)[:100],
        "environment": sorted({row.environment for row in rows if row.environment}),
    }


def has_any(declared: AdditiveSeries, conn: Connection, project_id: int) -> bool:
    """Tell whether anything of a project was counted and not removed since."""
    of = declared.table.c
    return (
        conn.execute(select(of.id).where(of.project_id == project_id).limit(1)).first() is not None
    )


def written_out(number: int) -> BindParameter[int]:
    """Return a number for SELECT and GROUP BY, whose parameters PostgreSQL takes for two."""
    return literal(number, Integer, literal_execute=True)
