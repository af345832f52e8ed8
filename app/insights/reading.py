"""Read declared series (:mod:`app.stats.additive`): by name, over time, and the filter options.

Moments are aware; ``since`` is inclusive, ``until`` is exclusive. Both are precise to the minute,
or to the hour if counts are by the hour or minutes were already summed up to hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from sqlalchemy import BindParameter, Column, Connection, Integer, Select, literal, select

from app.stats.additive import AdditiveSeries, Counts, day_of


class Period(NamedTuple):
    """A length of time to look back, and the length of its steps. A step divides it, and a day."""

    label: str
    length: timedelta
    step: timedelta


# Counts are kept by the minute for two days. For longer periods, steps are whole hours.
PERIODS = {
    "hour": Period("Last hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": Period("Last 24 hours", timedelta(days=1), timedelta(minutes=30)),
    "week": Period("Last 7 days", timedelta(days=7), timedelta(hours=4)),
    "month": Period("Last 30 days", timedelta(days=30), timedelta(hours=12)),
    "quarter": Period("Last 90 days", timedelta(days=90), timedelta(days=1)),
}


def window_of(
    period: str, now: datetime, periods: Mapping[str, Period] = PERIODS
) -> tuple[datetime, datetime]:
    """Return ``since`` and ``until`` of a period: whole steps, including the running step."""
    _, length, step = periods[period]
    begun = int(now.timestamp() // step.total_seconds()) + 1
    until = datetime.fromtimestamp(begun * step.total_seconds(), UTC)
    return until - length, until


@dataclass(frozen=True)
class Selection:
    """The counts to read. A subclass has a field for each key; ``None`` means any."""

    declared: ClassVar[AdditiveSeries]
    project_id: int
    since: datetime
    until: datetime

    @property
    def times(self) -> tuple[int, int]:
        """The first minute (or hour) of the selection, and the first one after it."""
        return self.declared.time_of(self.since), self.declared.time_of(self.until)

    def step_length(self, step: timedelta) -> int:
        """Return how many minutes (or hours) a step has."""
        return int(step.total_seconds()) // 60 // self.declared.unit_minutes

    def steps(self, step: timedelta) -> int:
        """Return how many steps there are from ``since`` to ``until``."""
        first, end = self.times
        return -(-(end - first) // self.step_length(step))

    def step_of(self, counts: Counts, step: timedelta) -> Any:
        """Return an SQL expression for the number of the step, from 0, that counts belong to."""
        first, length = written_out(self.times[0]), written_out(self.step_length(step))
        return (counts.time - first) // length

    def chosen(self, columns: Any) -> list[Any]:
        """Return the conditions for a table with these columns, without those for time."""
        names = [key.name for key in self.declared.keys if getattr(self, key.name) is not None]
        return [
            columns.project_id == self.project_id,
            *(columns[name] == getattr(self, name) for name in names),
        ]

    def of_series(self) -> list[Any]:
        """Return the conditions for series that may have selected counts."""
        (first, end), unit = self.times, self.declared.unit_minutes
        of = self.declared.table.c
        days = of.day.between(day_of(first * unit), day_of(max(first, end - 1) * unit))
        return [days, *self.chosen(of)]

    def of_times(self, counts: Counts) -> list[Any]:
        """Return the conditions for the time of counts."""
        first, end = self.times
        return [counts.time >= first, counts.time < end]

    def series(self, *columns: Column[Any]) -> Select[Any]:
        """Return a query for columns of the series that may have selected counts."""
        return select(*columns).where(*self.of_series())

    def sums(self, counts: Counts, *by: Any, ids: Select[Any] | None = None) -> Select[Any]:
        """Return a query for sums of counts, grouped by the given columns and by bucket, if any.

        :param ids: a query for series ids; by default all selected series.
        """
        ids = self.series(self.declared.table.c.id) if ids is None else ids
        by = (*by, counts.table.c.bucket) if counts.buckets else by
        of = counts.table.c.series_id.in_(ids), *self.of_times(counts)
        return select(*by, *counts.aggregates).where(*of).group_by(*by)


class Figures(Protocol):
    """Figures that rows of sums can be added to."""

    def add(self, *row: Any) -> None:
        """Add a row of :meth:`Selection.sums`: bucket, if there are buckets, and sums."""


F = TypeVar("F", bound=Figures)


def by_series(
    conn: Connection, selection: Selection, counts: Counts, *names: str
) -> Iterator[tuple[Any, ...]]:
    """Yield each row of sums of a series, with the names of the series."""
    columns = selection.declared.table.c
    query = selection.series(columns.id, *(columns[name] for name in names))
    names_of = {series_id: tuple(found) for series_id, *found in conn.execute(query)}
    # Group by id and not by name: comparing texts would take as long as reading the rows.
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
    """Return the releases and environments that a project had since a day, as filter options.

    Nothing is returned for series without them.
    """
    of, day = declared.table.c, since.astimezone(UTC).date()
    if "release" not in of:
        return {}
    query = select(of.release, of.environment).distinct()
    rows = conn.execute(query.where(of.project_id == project_id, of.day >= day)).all()
    return {
        "release": sorted({row.release for row in rows if row.release}, reverse=True)[:100],
        "environment": sorted({row.environment for row in rows if row.environment}),
    }


def has_any(declared: AdditiveSeries, conn: Connection, project_id: int) -> bool:
    """Return whether there are any counts of a project."""
    of = declared.table.c
    return (
        conn.execute(select(of.id).where(of.project_id == project_id).limit(1)).first() is not None
    )


def written_out(number: int) -> BindParameter[int]:
    """Return a number that is written into the SQL text. PostgreSQL takes a parameter in SELECT and
    the same one in GROUP BY for two different values.
    """
    return literal(number, Integer, literal_execute=True)
