"""Count the declared series (:mod:`.additive`) in the transaction that stores an envelope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from app.protocol.measures import Measures
from app.stats.additive import (
    AdditiveSeries,
    Amounts,
    Counts,
    DailyCounts,
    SeriesKey,
    day_of,
    kept_minute,
)
from app.store import DriverStatement, in_batches, is_in

# Series whose ids a process remembers. Looking them up is the largest part of the cost of counting.
MAX_KNOWN = 20_000
# Names in one query. A statement has at most 32,766 parameters on SQLite.
_NAMES_AT_ONCE = 10_000


class Measured(NamedTuple):
    """A stored envelope and its measures."""

    project_id: int
    uid: str
    event_id: str | None
    received_at: datetime
    measures: Measures


class Tally:
    """Amounts for the rows of a declaration, added up before they are written.

    ``rows`` has them by table, then by series key, time and bucket.
    """

    def __init__(self, declared: AdditiveSeries) -> None:
        self._declared = declared
        self.rows: dict[Any, dict[tuple[Any, ...], Amounts]] = {
            counts: {} for counts in declared.counts
        }

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def add(self, project_id: int, at: float, measures: Iterable[Any]) -> None:
        """Add measures that were received together.

        :param at: the time received, in seconds since 1970.
        """
        minute, read = int(at) // 60, self._declared.read
        start, time = (project_id, day_of(minute)), minute // self._declared.unit_minutes
        for measure in measures:
            for counts, names, amounts, bucket in read(measure, at):
                place = ((*start, *names), time, *bucket)
                _put(self.rows[counts], place, amounts, counts)


class SeriesCounter:
    """Counts into the rows of one store. Each process has its own cache of series ids.

    :param remembers: whether there is this cache. A counter without it is for any store.
    """

    def __init__(self, declared: AdditiveSeries, *, remembers: bool = True) -> None:
        self.declared = declared
        self._ids = SeriesIds(declared, remembers=remembers)

    def count(self, conn: Connection, stored: Sequence[Measured], now: datetime | None) -> None:
        """Count the measures of envelopes. The caller commits.

        :param now: envelopes received on days that are summed up to hours by this moment are
            counted by the hour.
        """
        tally = Tally(self.declared)
        for one in stored:
            if measures := getattr(one.measures, self.declared.measure):
                tally.add(one.project_id, one.received_at.timestamp(), measures)
        self.add(conn, tally, now)

    def add(self, conn: Connection, tally: Tally, now: datetime | None) -> None:
        """Add the amounts of a tally to the rows. The caller commits."""
        keys = {place[0] for rows in tally.rows.values() for place in rows}
        if not keys:
            return
        ids, kept = self._ids.find(conn, keys), self.declared.minutes_kept
        for counts, rows in tally.rows.items():
            numbered: dict[tuple[int, ...], Amounts] = {}
            for (key, time, *bucket), amounts in rows.items():
                if now is not None and kept is not None:
                    time = kept_minute(time, now, kept)
                # Several keys may have the same id: that of the series for all beyond the limit.
                _put(numbered, (ids[key], time, *bucket), amounts, counts)
            counts.add(conn, numbered)


def _put(rows: dict[Any, Amounts], place: Any, amounts: Amounts, counts: Counts) -> None:
    found = rows.get(place)
    rows[place] = amounts if found is None else counts.merge(found, amounts)


class SeriesIds:
    """The ids of a declaration's series, with a cache for this process if it remembers them."""

    def __init__(self, declared: AdditiveSeries, *, remembers: bool = True) -> None:
        self._declared, self._remembers = declared, remembers
        self._known: dict[SeriesKey, int] = {}
        columns = declared.table.c
        names = [columns[name] for name in ("project_id", "day", *(k.name for k in declared.keys))]
        # The query is by project, day and name. For a list of tuples SQLite reads the whole table.
        project_id, day, name, *_ = names
        asked = project_id == bindparam("project_id"), day == bindparam("day")
        self._names = [column.name for column in names]
        self._select = DriverStatement(
            lambda dialect, size: select(*names, columns.id).where(
                *asked, is_in(name, "names", size)
            ),
            takes="names",
        )
        self._insertion = DriverStatement(
            lambda dialect: declared.table.insert().returning(*names, columns.id)
        )

    def find(self, conn: Connection, wanted: set[SeriesKey]) -> dict[SeriesKey, int]:
        """Return the id of each series. A new series is created. The caller commits."""
        if len(wanted) > self._declared.max_series:
            return self._find_bounded(conn, wanted)
        ids = {key: self._known[key] for key in wanted if key in self._known}
        if missing := wanted - ids.keys():
            found = self._find(conn, missing)
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            if self._remembers:
                self._known.update(found)
            # New series are not put into the cache: this transaction may be rolled back.
            ids |= found | self._make(conn, missing - found.keys())
        return ids

    def _find_bounded(self, conn: Connection, wanted: set[SeriesKey]) -> dict[SeriesKey, int]:
        """Return the ids of more series at once than a project has on a day.

        A hostile envelope has 100,000 names. To look each of them up took five seconds, in which no
        other envelope was stored.
        """
        named: list[SeriesKey] = []
        beyond: list[SeriesKey] = []
        used = Counter[Any]()
        for key in sorted(wanted, key=lambda key: (key not in self._known, key)):
            used[key[:2]] += 1
            (named if used[key[:2]] <= self._declared.max_series else beyond).append(key)
        ids: dict[SeriesKey, int] = {}
        for some in in_batches(named, self._declared.max_series):
            ids |= self.find(conn, set(some))
        return ids | self._of_others(conn, beyond)

    def _find(self, conn: Connection, wanted: Collection[SeriesKey]) -> dict[SeriesKey, int]:
        by_day: dict[tuple[int, date], set[str]] = {}
        for project_id, day, name, *_ in wanted:
            by_day.setdefault((project_id, day), set()).add(name)
        found: dict[SeriesKey, int] = {}
        for (project_id, day), names in sorted(by_day.items()):
            for some in in_batches(sorted(names), _NAMES_AT_ONCE):
                asked = {"project_id": project_id, "day": day, "names": some}
                found |= _numbers(self._select.fetch(conn, asked))
        return {key: found[key] for key in wanted if key in found}

    def _make(self, conn: Connection, missing: set[SeriesKey]) -> dict[SeriesKey, int]:
        """Create series up to the limit of a day. Further ones get the id of a shared series."""
        made: dict[SeriesKey, int] = {}
        for project_id, day in sorted({key[:2] for key in missing}):
            new = sorted(key for key in missing if key[:2] == (project_id, day))
            there = _rows_of_day(conn, self._declared, project_id, day)
            room = max(0, self._declared.max_series - there)
            made |= self._insert(conn, new[:room])
            made |= self._of_others(conn, new[room:])
        return made

    def _of_others(self, conn: Connection, beyond: Sequence[SeriesKey]) -> dict[SeriesKey, int]:
        others = {key: self._declared.other(key) for key in beyond}
        wanted = set(others.values())
        found = self._find(conn, wanted)
        found |= self._insert(conn, sorted(wanted - found.keys()))
        return {key: found[other] for key, other in others.items()}

    def _insert(self, conn: Connection, keys: Sequence[SeriesKey]) -> dict[SeriesKey, int]:
        rows = [dict(zip(self._names, key, strict=True)) for key in keys]
        return _numbers(self._insertion.fetch_each(conn, rows))


def _numbers(rows: Iterable[Any]) -> dict[SeriesKey, int]:
    return {tuple(key): series_id for *key, series_id in rows}


def _rows_of_day(
    conn: Connection, declared: AdditiveSeries | DailyCounts, project_id: int, day: date
) -> int:
    columns = declared.table.c
    of_day = columns.project_id == project_id, columns.day == day
    return conn.scalar(select(func.count()).select_from(declared.table).where(*of_day)) or 0


def count_day(
    conn: Connection, declared: DailyCounts, counts: Mapping[Any, int], day: date
) -> None:
    """Add to the counts of a day. The caller commits.

    :param counts: by project and the names of the declaration's keys.
    """
    if declared.max_keys is not None:
        for project_id in {key[0] for key in counts}:
            counts = _bounded(conn, declared, counts, project_id, day)
    names = ("project_id", *(key.name for key in declared.keys), "day", "quantity")
    rows = [dict(zip(names, (*key, day, n), strict=True)) for key, n in sorted(counts.items())]
    declared.addition.run(conn, rows)


def _bounded(
    conn: Connection,
    declared: DailyCounts,
    counts: Mapping[Any, int],
    project_id: int,
    day: date,
) -> Counter[tuple[Any, ...]]:
    """Return the counts with a project's keys limited to ``max_keys`` of the declaration."""
    left = (declared.max_keys or 0) - _rows_of_day(conn, declared, project_id, day)
    bounded: Counter[tuple[Any, ...]] = Counter()
    for key, quantity in counts.items():
        if key[0] == project_id:
            left -= 1
            if left < 0:
                names = zip(key[1:], declared.keys, strict=True)
                key = (project_id, *(of.shared(own) for own, of in names))
        bounded[key] += quantity
    return bounded
