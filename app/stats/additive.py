"""The counting kit: what is counted by name and time is declared, and the rest follows.

    additive.py    declarations, and their tables
    counting.py    counts in the transaction that stores an envelope
    expiry.py      minutes become hours, and the oldest days go
    row_bounds.py  how many rows a project keeps in all

``app.insights.reading`` reads them; docs/how-to/add-an-insight.md adds one.

A **series** is what has the same names, in a project, on a day (UTC, of this service's clock): a
row with a number, which its counts point to. Counts are rows for each minute (or hour) and, where
values are counted too, for each bucket of them (:mod:`.buckets`). They add up over processes, time
and series. Minutes are those of receipt, by this service's clock.

Bounded whatever clients send: a project has so many series a day; what is beyond them is OTHER.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    case,
    false,
    func,
)

from app.store import added, larger, metadata, smaller, upsert

# What series beyond the bound are called.
OTHER = "<other>"
QUARTER = timedelta(days=90)

# The names of a series: project, day, then its keys. And the values of one row of counts.
SeriesKey = tuple[Any, ...]
Amounts = tuple[Any, ...]


class Key(NamedTuple):
    """A name that tells series apart; empty where there is none.

    :param length: characters.
    :param beyond: its value in the series of what is beyond the bound; ``None`` keeps the own one.
    """

    name: str
    length: int
    beyond: str | None = ""

    def column(self, **options: Any) -> Column[Any]:
        """Return its column; an empty name is no NULL, which is never equal to another."""
        return Column(self.name, String(self.length), nullable=False, **options)


RELEASE, ENVIRONMENT = Key("release", 250), Key("environment", 64)


def newest(old: Any, new: Any) -> Any:
    """Have the column follow a larger ``<name>_at``, a moment that stands beside it."""
    at = f"{new.key}_at"
    return case((new.table.c[at] >= old.table.c[at], new), else_=old)


# What several rows have in a column, by its rule, and what two values are before they are written;
# neither for :func:`newest`.
AGGREGATES: dict[Any, Any] = {added: func.sum, smaller: func.min, larger: func.max}
MERGES: dict[Any, Any] = {added: operator.add, smaller: min, larger: max}


class Counts:
    """A table of counts of a series.

    :param columns: their types; with a rule of :mod:`app.store.statements` where it is not a sum.
    :param buckets: whether there is a row for each bucket.
    :param merge: returns two rows as one, where a rule is :func:`newest`.
    """

    table: Table

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Any],
        *,
        buckets: bool = False,
        merge: Callable[[Any, Any], Amounts] | None = None,
    ) -> None:
        self.name, self.buckets = name, buckets
        pairs = {n: of if isinstance(of, tuple) else (of, added) for n, of in columns.items()}
        self.types = {name: type_ for name, (type_, _) in pairs.items()}
        self.rules = {name: rule for name, (_, rule) in pairs.items()}
        self._merges: list[Any] = [MERGES.get(rule) for rule in self.rules.values()]
        self.merge = merge or self._merge

    def make(self, series: Table, time: str) -> None:
        """Make the table."""
        names = (time, "bucket") if self.buckets else (time,)
        types = {time: Integer, "bucket": SmallInteger}
        self.table = Table(
            self.name,
            series.metadata,
            Column("series_id", Integer, ForeignKey(series.c.id), primary_key=True),
            # Since 1970, a quarter of what a time takes as text on SQLite.
            *(Column(name, types[name], primary_key=True, autoincrement=False) for name in names),
            *(Column(name, type_, nullable=False) for name, type_ in self.types.items()),
            sqlite_with_rowid=False,
        )

    def _merge(self, one: Amounts, other: Amounts) -> Amounts:
        return tuple(merge(*both) for merge, *both in zip(self._merges, one, other, strict=True))

    @property
    def time(self) -> Column[Any]:
        """The column of the minute or the hour."""
        return list(self.table.c)[1]

    @property
    def aggregates(self) -> list[Any]:
        """Expressions for what several rows have, in order, but for :func:`newest`."""
        of = self.table.c
        return [
            AGGREGATES[rule](of[name]) for name, rule in self.rules.items() if rule is not newest
        ]

    def add(self, conn: Connection, rows: Mapping[tuple[int, ...], Amounts]) -> None:
        """Add to rows, made where they are new; the caller commits.

        :param rows: by the number of the series, the time and the bucket if there are buckets.
        """
        if rows:
            names, addition = _addition(conn.dialect.name, self)
            ordered = sorted(rows.items())
            conn.execute(
                addition, [dict(zip(names, (*key, *row), strict=True)) for key, row in ordered]
            )


@functools.cache
def _addition(dialect: str, counts: Counts) -> tuple[tuple[str, ...], Any]:
    """Return the columns of counts, and the statement that adds to them, built once."""
    return tuple(counts.table.c.keys()), upsert(dialect, counts.table, **counts.rules)


class Sample(NamedTuple):
    """What one measure adds to one table of counts.

    :param names: in the order of the keys of its series.
    :param bucket: none, or one.
    """

    counts: Counts
    names: tuple[str, ...]
    amounts: Amounts
    bucket: tuple[int, ...] = ()


class AdditiveSeries:
    """A declaration.

    :param name: of the table of series.
    :param keys: what tells series apart, besides project and day; the first one is what they are
        looked up by.
    :param counts: tables of counts; the first of them has every minute that the others have.
    :param max_series: of a project on a day; one or a few more stand for the rest.
    :param minutes_kept: how long minutes stay minutes, then they are hours; ``None`` where counts
        are by the hour from the beginning. At least whole days.
    :param hours_kept: how long series stay.
    :param measure: the field of ``Measures`` that is counted, ``item_type`` the type of the
        envelope's items that hold it: an event id that came before with such an item is not counted
        again.
    :param read: returns what one of those measures adds, of it and of when it came, in seconds
        since 1970.
    :param further: tables with a ``series_id`` that go with a series.
    :param columns: further columns of the table of series.
    :param unique_name: of the unique constraint, where its columns make a name that is too long.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: tuple[Key, ...],
        counts: tuple[Counts, ...],
        max_series: int,
        minutes_kept: timedelta | None = None,
        hours_kept: timedelta = QUARTER,
        measure: str = "",
        item_type: str = "",
        read: Callable[[Any, float], Iterable[Sample]] = lambda measure, at: (),
        further: tuple[Table, ...] = (),
        columns: tuple[Column[Any], ...] = (),
        unique_name: str | None = None,
    ) -> None:
        self.keys, self.counts, self.max_series = keys, counts, max_series
        self.minutes_kept, self.hours_kept = minutes_kept, hours_kept
        self.measure, self.item_type, self.read = measure, item_type, read
        self.further = further
        by_minute = minutes_kept is not None
        self.unit_minutes = 1 if by_minute else 60
        names = [key.name for key in keys]
        # Whether minutes are hours by now; what grows old is found by it.
        rolled = Column("rolled", Boolean, nullable=False, server_default=false())
        self.table = Table(
            name,
            metadata,
            Column("id", Integer, primary_key=True),
            Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
            Column("day", Date, nullable=False, index=not by_minute),
            *(key.column() for key in keys),
            *columns,
            UniqueConstraint("project_id", "day", *names, name=unique_name),
            *((rolled, Index(None, "rolled", "day")) if by_minute else ()),
        )
        for one in counts:
            one.make(self.table, "minute" if by_minute else "hour")

    def time_of(self, moment: datetime) -> int:
        """Return the minute or the hour of a moment, counted since 1970."""
        return minute_of(moment) // self.unit_minutes

    def other(self, key: SeriesKey) -> SeriesKey:
        """Return the series that one beyond the bound is counted in."""
        names = zip(key[2:], self.keys, strict=True)
        return *key[:2], *(own if of.beyond is None else of.beyond for own, of in names)


class DailyCounts:
    """A declaration of what is counted by the day, without series: one table has all of it.

    :param max_keys: of a project on a day; what is beyond has ``beyond`` for its names.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: tuple[Key, ...],
        days_kept: timedelta = QUARTER,
        max_keys: int | None = None,
    ) -> None:
        self.keys, self.days_kept, self.max_keys = keys, days_kept, max_keys
        self.table = Table(
            name,
            metadata,
            Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
            *(key.column(primary_key=True) for key in keys),
            Column("day", Date, primary_key=True),
            Column("quantity", BigInteger, nullable=False),
            sqlite_with_rowid=False,
        )


def minute_of(moment: datetime) -> int:
    """Return the minute of a moment, counted since 1970."""
    return int(moment.timestamp()) // 60


@functools.lru_cache(maxsize=4096)
def day_of(minute: int) -> date:
    """Return the day, in UTC, of a minute."""
    return datetime.fromtimestamp(minute * 60, UTC).date()


def kept_minute(minute: int, now: datetime, kept: timedelta) -> int:
    """Return which minute a count goes to: of days that are rolled up, the first of its hour.

    What comes so late (from the emergency folder, after the store was away) would else stay a
    minute beside the hours, which nothing rolls up again.

    :param kept: how long minutes stay minutes.
    """
    return minute - minute % 60 if day_of(minute) < (now - kept).date() else minute
