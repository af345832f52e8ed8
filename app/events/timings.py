"""How long requests and transactions took and how many failed, counted by the minute.

A **series** is what a project calls a transaction, in one release and environment, on one day (UTC,
of this service's clock). It has a row for each minute and bucket of durations (:mod:`.buckets`), so
that any number of processes, minutes and series add up by SUM.

Bounded whatever clients send: a day takes MAX_SERIES of a project; what is beyond them is counted
as one transaction, OTHER. Clocks of clients make no minutes: it is the door's that counts.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
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
    bindparam,
    false,
    func,
    select,
)

from app.db import insert_for, metadata
from app.events.buckets import bucket_of
from app.protocol.transaction import Timing

# Some 120 routes in four releases and two environments fill half of it.
MAX_SERIES = 2000
OTHER = "<other>"
# Series whose numbers a process remembers; asking for them is most of what a count costs.
MAX_KNOWN = 20_000

timing_series = Table(
    "timing_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("transaction", String(200), nullable=False),
    # Empty where there is none: NULLs would not be alone with anything.
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    # Whether its minutes are rolled up to hours.
    Column("rolled", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "day", "transaction", "release", "environment"),
    # What grows old is found by it.
    Index(None, "rolled", "day"),
)

timings = Table(
    "timings",
    metadata,
    Column("series_id", Integer, ForeignKey("timing_series.id"), primary_key=True),
    # Since 1970, a quarter of what a time takes as text on SQLite; an hour's first one in the end.
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("requests", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    sqlite_with_rowid=False,
)


# A row's series, minute and bucket.
RowKey = tuple[int, int, int]


class Series(NamedTuple):
    """What a series is alone with."""

    project_id: int
    day: date
    transaction: str
    release: str
    environment: str


class Timed(NamedTuple):
    """What a count of requests is alone with."""

    project_id: int
    transaction: str
    release: str
    environment: str
    minute: int
    bucket: int
    failed: bool

    @property
    def series(self) -> Series:
        """The series that it is counted in."""
        names = self.transaction, self.release, self.environment
        return Series(self.project_id, day_of(self.minute), *names)


def minute_of(moment: datetime) -> int:
    """Return the minute of a moment, counted since 1970."""
    return int(moment.timestamp()) // 60


@functools.lru_cache(maxsize=4096)
def day_of(minute: int) -> date:
    """Return the day, in UTC, of a minute."""
    return datetime.fromtimestamp(minute * 60, UTC).date()


def timed(project_id: int, timing: Timing, minute: int) -> Timed:
    """Return what a transaction counts as, that came in this minute."""
    names = timing.transaction, timing.release, timing.environment
    return Timed(project_id, *names, minute, bucket_of(timing.ms), timing.failed)


class TimingBook:
    """Counts into the rows of one store."""

    def __init__(self) -> None:
        self._known: dict[Series, int] = {}

    def add(self, conn: Connection, counts: Counter[Timed]) -> None:
        """Add to what was counted; the caller commits."""
        if not counts:
            return
        series = {one: one.series for one in counts}
        ids = self._ids(conn, set(series.values()))
        rows: dict[RowKey, tuple[int, int]] = {}
        for one, count in counts.items():
            key = ids[series[one]], one.minute, one.bucket
            requests, failures = rows.get(key, (0, 0))
            rows[key] = requests + count, failures + (count if one.failed else 0)
        add_rows(conn, rows)

    def _ids(self, conn: Connection, wanted: set[Series]) -> dict[Series, int]:
        ids = {one: self._known[one] for one in wanted if one in self._known}
        if missing := wanted - ids.keys():
            found = _find(conn, missing)
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            self._known.update(found)
            # Those that are made here are not remembered: this transaction may be rolled back.
            ids |= found | _make(conn, missing - found.keys())
        return ids


_NAMES = tuple(timing_series.c[name] for name in Series._fields)
# By project and day: for a list of tuples SQLite reads the whole table.
_FIND = select(*_NAMES, timing_series.c.id).where(
    timing_series.c.project_id == bindparam("project_id"),
    timing_series.c.day == bindparam("day"),
    timing_series.c.transaction.in_(bindparam("transactions", expanding=True)),
)


def _find(conn: Connection, wanted: Collection[Series]) -> dict[Series, int]:
    by_day: dict[tuple[int, date], set[str]] = {}
    for one in wanted:
        by_day.setdefault((one.project_id, one.day), set()).add(one.transaction)
    found = {
        Series(*names): series_id
        for (project_id, day), transactions in sorted(by_day.items())
        for *names, series_id in conn.execute(
            _FIND, {"project_id": project_id, "day": day, "transactions": sorted(transactions)}
        )
    }
    return {one: found[one] for one in wanted if one in found}


def _make(conn: Connection, missing: set[Series]) -> dict[Series, int]:
    """Make series as far as their days have room; those beyond get the number of OTHER."""
    made: dict[Series, int] = {}
    for project_id, day in sorted({(one.project_id, one.day) for one in missing}):
        new = sorted(one for one in missing if (one.project_id, one.day) == (project_id, day))
        room = max(0, MAX_SERIES - _how_many(conn, project_id, day))
        made |= _insert(conn, new[:room])
        if beyond := new[room:]:
            made |= dict.fromkeys(beyond, _other(conn, project_id, day))
    return made


def _how_many(conn: Connection, project_id: int, day: date) -> int:
    of_day = timing_series.c.project_id == project_id, timing_series.c.day == day
    return conn.scalar(select(func.count()).select_from(timing_series).where(*of_day)) or 0


def _other(conn: Connection, project_id: int, day: date) -> int:
    other = Series(project_id, day, OTHER, "", "")
    found = _find(conn, [other]) or _insert(conn, [other])
    return found[other]


def _insert(conn: Connection, series: list[Series]) -> dict[Series, int]:
    if not series:
        return {}
    rows = conn.execute(_INSERT, [one._asdict() for one in series])
    return {Series(*names): series_id for *names, series_id in rows}


_INSERT = timing_series.insert().returning(*_NAMES, timing_series.c.id)


def add_rows(conn: Connection, rows: Mapping[RowKey, tuple[int, int]]) -> None:
    """Add requests and failures to rows, made where they are new."""
    names = "series_id", "minute", "bucket", "requests", "failures"
    values = [
        dict(zip(names, (*key, *counts), strict=True)) for key, counts in sorted(rows.items())
    ]
    conn.execute(_addition(conn.dialect.name), values)


def add_on_conflict(dialect: str, rows: Callable[[Any], Any] = lambda insert: insert) -> Any:
    """Return an INSERT that adds to rows that are there.

    :param rows: puts them into the statement; by default they are its parameters.
    """
    statement = rows(insert_for(dialect, timings))
    added = {name: timings.c[name] + statement.excluded[name] for name in ("requests", "failures")}
    return statement.on_conflict_do_update(
        index_elements=["series_id", "minute", "bucket"], set_=added
    )


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _addition(dialect: str) -> Any:
    return add_on_conflict(dialect)
