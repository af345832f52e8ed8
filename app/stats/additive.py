"""The counting kit. A declaration says what is counted by name and time; these modules do the rest.

    additive.py    declarations and their tables
    counting.py    counts in the transaction that stores an envelope
    expiry.py      sums minutes up to hours, and removes the oldest days
    row_bounds.py  limits the rows that a project keeps in all

``app.insights.reading`` reads the counts. docs/how-to/add-an-insight.md shows how to add one.

A **series** is all data with the same names, in one project, on one day (UTC, by this service's
clock). It is a row with an id, and its counts refer to this id. Counts are rows for each minute (or
hour). If values are counted too, there is a row for each bucket of values (:mod:`.buckets`). Counts
can be added up over processes, time and series. The minute is that of the time received, by this
service's clock; of lines of logs it is that in which they were written.

The number of series that a project has on a day is limited, whatever clients send. All further
series are counted together as OTHER.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Set
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

from app.store import DriverStatement, added, larger, metadata, smaller, upsert

# The name in which series beyond the limit are counted.
OTHER = "<other>"
QUARTER = timedelta(days=90)

# SeriesKey: project, day and the names of a series. Amounts: the values of one row of counts.
SeriesKey = tuple[Any, ...]
Amounts = tuple[Any, ...]


class Key(NamedTuple):
    """A name that distinguishes series. It is empty if there is none.

    :param length: in characters.
    :param beyond: its value in the series for everything beyond the limit. ``None`` keeps the
        series' own value, as do the values of a set; all others are then :data:`OTHER`.
    """

    name: str
    length: int
    beyond: str | Set[str] | None = ""

    def shared(self, own: str) -> str:
        """Return the value that a series beyond the limit has instead of its own."""
        if self.beyond is None or isinstance(self.beyond, str):
            return own if self.beyond is None else self.beyond
        return own if own in self.beyond else OTHER

    def column(self, **options: Any) -> Column[Any]:
        """Return the column of this key. It is never NULL: a NULL does not equal another NULL."""
        return Column(self.name, String(self.length), nullable=False, **options)


RELEASE, ENVIRONMENT = Key("release", 250), Key("environment", 64)


def newest(old: Any, new: Any) -> Any:
    """A rule for a column: keep the value whose ``<name>_at`` column has the later moment."""
    at = f"{new.key}_at"
    return case((new.table.c[at] >= old.table.c[at], new), else_=old)


# For each rule: the SQL function that combines several rows, and the Python function that combines
# two values before they are written. Neither has an entry for :func:`newest`.
AGGREGATES: dict[Any, Any] = {added: func.sum, smaller: func.min, larger: func.max}
MERGES: dict[Any, Any] = {added: operator.add, smaller: min, larger: max}


class Counts:
    """A table of counts of a series.

    :param columns: name to type. A column that is not a sum has a pair of its type and a rule of
        :mod:`app.store.statements`.
    :param buckets: whether there is a row for each bucket.
    :param merge: combines two rows into one. It is needed if a rule is :func:`newest`.
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
        """Create the table.

        :param series: the table of series that the rows refer to.
        :param time: name of the time column: ``minute`` or ``hour``.
        """
        names = (time, "bucket") if self.buckets else (time,)
        types = {time: Integer, "bucket": SmallInteger}
        self.table = Table(
            self.name,
            series.metadata,
            Column("series_id", Integer, ForeignKey(series.c.id), primary_key=True),
            # A number since 1970 takes a quarter of the space of a time as text on SQLite.
            *(Column(name, types[name], primary_key=True, autoincrement=False) for name in names),
            *(Column(name, type_, nullable=False) for name, type_ in self.types.items()),
            sqlite_with_rowid=False,
        )
        self._names = self.table.c.keys()
        self._addition = DriverStatement(lambda dialect: upsert(dialect, self.table, **self.rules))

    def _merge(self, one: Amounts, other: Amounts) -> Amounts:
        return tuple(merge(*both) for merge, *both in zip(self._merges, one, other, strict=True))

    @property
    def time(self) -> Column[Any]:
        """The column of the minute or the hour."""
        return list(self.table.c)[1]

    @property
    def aggregates(self) -> list[Any]:
        """Expressions that combine several rows, in order, without columns of :func:`newest`."""
        of = self.table.c
        return [
            AGGREGATES[rule](of[name]) for name, rule in self.rules.items() if rule is not newest
        ]

    def add(self, conn: Connection, rows: Mapping[tuple[int, ...], Amounts]) -> None:
        """Add amounts to rows. A row that does not exist is created. The caller commits.

        :param rows: by series id, time and, if there are buckets, the bucket.
        """
        ordered = sorted(rows.items())
        self._addition.run(
            conn, [dict(zip(self._names, (*key, *row), strict=True)) for key, row in ordered]
        )


class Sample(NamedTuple):
    """The amounts that one measure adds to one table of counts.

    :param names: in the order of the keys of its series.
    :param bucket: empty, or one bucket.
    """

    counts: Counts
    names: tuple[str, ...]
    amounts: Amounts
    bucket: tuple[int, ...] = ()


class AdditiveSeries:
    """The declaration of series and their counts.

    :param name: of the table of series.
    :param keys: the names that distinguish series, besides project and day. Series are looked up
        by the first one.
    :param counts: tables of counts. The first one has every minute that the others have.
    :param max_series: the most series of a project on a day. One or a few more series count
        everything beyond this limit.
    :param minutes_kept: how long counts are kept by the minute, before they are summed up to hours:
        a number of whole days. ``None`` if counts are by the hour from the start.
    :param hours_kept: how long series are kept.
    :param measure: the field of ``Measures`` that is counted; empty if a ``SeriesCounter`` is used
        directly.
    :param item_type: the type of the items that contain this measure. An event id that came before
        with such an item is not counted again.
    :param read: returns the samples of a measure. Its parameters are the measure and the time
        received in seconds since 1970.
    :param further: tables with a ``series_id`` whose rows are removed with the series.
    :param columns: further columns of the table of series.
    :param unique_name: name of the unique constraint, if the generated name would be too long.
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
        # Whether the minutes were summed up to hours. An index finds old series by it.
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
        """Return the series in which a series beyond the limit is counted."""
        names = zip(key[2:], self.keys, strict=True)
        return *key[:2], *(of.shared(own) for own, of in names)


class DailyCounts:
    """The declaration of counts by the day, without series, in one table.

    :param max_keys: the most keys of a project on a day. Further counts get the ``beyond`` values
        as names.
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
        self.addition = DriverStatement(lambda dialect: upsert(dialect, self.table, quantity=added))


def minute_of(moment: datetime) -> int:
    """Return the minute of a moment, counted since 1970."""
    return int(moment.timestamp()) // 60


@functools.lru_cache(maxsize=4096)
def day_of(minute: int) -> date:
    """Return the day, in UTC, of a minute."""
    return datetime.fromtimestamp(minute * 60, UTC).date()


def kept_minute(minute: int, now: datetime, kept: timedelta) -> int:
    """Return the minute in which a count is stored. On days that are summed up to hours, it is the
    first minute of the hour.

    Envelopes may come that late from the emergency folder, after the store was not available. With
    its own minute, such a count would stay beside the hours, because no run sums up that day again.

    :param kept: how long counts are kept by the minute.
    """
    return minute - minute % 60 if day_of(minute) < (now - kept).date() else minute
