"""Releases: the versions of a project, and when each was first and last seen.

A release is known from the first event, transaction, session or line of a log that names it, or
from its announcement, whichever comes first. Releases are ordered by when they became known, which
is the order of their ids. For issues resolved in a release, versions are compared too
(:mod:`app.issues.fixed_in`).

A project has at most MAX_RELEASES, whatever clients send. Beyond that, a new release replaces the
least recently seen one: first among those that no event named, then among those that events named,
then among announced ones. A release that no event names never replaces a release that events named
or that was announced. At most MAX_UNPROVEN releases that no event names are added in an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)

from app.stats.tables import VERSION_LENGTH, releases
from app.store import DriverStatement, is_in

# Three releases a day for most of a year. Counting the rows for a new release takes 0.1 ms.
MAX_RELEASES = 1000
# The most releases of a project in an hour that no event named. It limits invented releases.
MAX_UNPROVEN = 100
UNPROVEN_WITHIN = timedelta(hours=1)
# The precision of `last_seen`: a row is written at this interval, and not for every event.
TOUCHED_EVERY = timedelta(minutes=1)
# The most releases in the cache of a process.
MAX_KNOWN = 10_000


class Release(NamedTuple):
    """The unique key of a release."""

    project_id: int
    version: str


class Seen(NamedTuple):
    """Releases and their ids.

    :param made: the releases that were not known before, oldest first.
    """

    ids: dict[Release, int]
    made: dict[Release, int]


def release_of(project_id: int, version: str | None) -> Release | None:
    """Return the key of the release that a client names, ``None`` if it names no release."""
    return Release(project_id, version[:VERSION_LENGTH]) if version else None


class _Known(NamedTuple):
    """A cached release: its id, when its row was written, and whether an event named it."""

    number: int
    written: datetime
    has_events: bool


class ReleaseRecorder:
    """Records the releases that are named in one store."""

    def __init__(self) -> None:
        # If another process removes a release, this is noticed when it is written again.
        self._known: dict[Release, _Known] = {}

    def see(
        self,
        conn: Connection,
        heard: Iterable[Release | None],
        now: datetime,
        of_events: Collection[Release | None] = (),
    ) -> Seen:
        """Record releases and return their ids. New releases are created. The caller commits.

        :param heard: releases in order, possibly repeated. ``None`` is left out. At most
            MAX_RELEASES are looked up; further ones are left out.
        :param of_events: the releases that events name. If there is no room for one of the others,
            it gets no id.
        """
        wanted = dict.fromkeys(release for release in heard if release is not None)
        ids: dict[Release, int] = {}
        stale: list[Release] = []
        for release in wanted:
            known = self._known.get(release)
            is_proven = known is not None and (known.has_events or release not in of_events)
            if known and is_proven and abs(now - known.written) < TOUCHED_EVERY:
                ids[release] = known.number
            # Nobody deploys more releases at once, and statements have limits.
            elif len(stale) < MAX_RELEASES:
                stale.append(release)
        if not stale:
            return Seen(ids, {})
        proven = [release for release in stale if release in of_events]
        unproven = [release for release in stale if release not in of_events]
        found = self._touch(conn, proven, now, True) | self._touch(conn, unproven, now, False)
        # New releases are not put into the cache: this transaction may be rolled back.
        missing = [release for release in stale if release not in found]
        for release in missing:
            self._known.pop(release, None)
        made = make(conn, missing, first_seen=now, last_seen=now, of_events=frozenset(of_events))
        return Seen(ids | found | made, made)

    def _touch(
        self, conn: Connection, wanted: list[Release], now: datetime, has_events: bool
    ) -> dict[Release, int]:
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        found = _touch(conn, wanted, now, has_events)
        for release, number in found.items():
            before = self._known.get(release)
            proven = has_events or (before is not None and before.has_events)
            self._known[release] = _Known(number, now, proven)
        return found


def make(
    conn: Connection,
    missing: Iterable[Release],
    *,
    first_seen: datetime | None = None,
    last_seen: datetime | None = None,
    announced_at: datetime | None = None,
    announced_by: str | None = None,
    of_events: Collection[Release | None] = (),
) -> dict[Release, int]:
    """Create releases and return their ids in order. Old releases are removed to make room.

    :param missing: at most MAX_RELEASES.
    :param of_events: the releases that events name. Others that are not announced are created only
        if there is room for them, see :data:`MAX_UNPROVEN`.
    """
    by_project: dict[int, list[Release]] = {}
    for release in missing:
        by_project.setdefault(release.project_id, []).append(release)
    values = {
        "first_seen": first_seen,
        "last_seen": last_seen,
        "announced_at": announced_at,
        "announced_by": announced_by,
    }
    rows = []
    for project_id, new in by_project.items():
        is_sure = announced_at is not None
        certain = [release for release in new if is_sure or release in of_events]
        _make_room(conn, project_id, len(certain))
        others = [release for release in new if release not in certain]
        others = others[: _room_for_unproven(conn, project_id, len(others), first_seen)]
        chosen = {*certain, *others}
        rows += [
            {**release._asdict(), **values, "has_events": release in of_events}
            for release in new
            if release in chosen
        ]
    found = _INSERT.fetch_each(conn, rows)
    return {Release(project_id, version): number for project_id, version, number in found}


def newest_id(conn: Connection, project_id: int) -> int:
    """Return the id of the newest release of a project, 0 if there is none."""
    newest = select(func.max(releases.c.id)).where(releases.c.project_id == project_id)
    return conn.scalar(newest) or 0


_KEY = releases.c.project_id, releases.c.version
_INSERT = DriverStatement(lambda dialect: releases.insert().returning(*_KEY, releases.c.id))
_TOUCH = DriverStatement(
    lambda dialect, size: (
        update(releases)
        # The query is by project. For a list of pairs SQLite reads the whole table.
        .where(releases.c.project_id == bindparam("of"))
        .where(is_in(releases.c.version, "wanted", size))
        .values(
            last_seen=bindparam("now"),
            first_seen=func.coalesce(releases.c.first_seen, bindparam("now")),
            has_events=or_(releases.c.has_events, bindparam("of_events", type_=Boolean())),
        )
        .returning(*_KEY, releases.c.id)
    ),
    takes="wanted",
)


def _touch(
    conn: Connection, wanted: list[Release], now: datetime, has_events: bool
) -> dict[Release, int]:
    by_project: dict[int, list[str]] = {}
    for release in wanted:
        by_project.setdefault(release.project_id, []).append(release.version)
    return {
        Release(project_id, version): number
        for of, versions in sorted(by_project.items())
        for project_id, version, number in _TOUCH.fetch(
            conn, {"of": of, "wanted": versions, "now": now, "of_events": has_events}
        )
    }


def _make_room(conn: Connection, project_id: int, wanted: int) -> None:
    """Remove releases so that ``wanted`` new ones fit within the limit, unannounced ones first."""
    if (beyond := _count(conn, project_id) + wanted - MAX_RELEASES) > 0:
        _remove(conn, project_id, beyond)


def _room_for_unproven(conn: Connection, project_id: int, wanted: int, now: datetime | None) -> int:
    """Make room for releases that no event named. Return how many of them may be created."""
    if not wanted or now is None:
        return 0
    lately = _is_unproven(project_id), releases.c.first_seen > now - UNPROVEN_WITHIN
    wanted = min(wanted, MAX_UNPROVEN - _count(conn, project_id, *lately))
    if wanted <= 0:
        return 0
    free = MAX_RELEASES - _count(conn, project_id)
    if free < wanted:
        free += _remove(conn, project_id, wanted - free, _is_unproven(project_id))
    return max(0, min(wanted, free))


def _is_unproven(project_id: int) -> ColumnElement[bool]:
    columns = releases.c
    is_sure = or_(columns.has_events, columns.announced_at.is_not(None))
    return and_(columns.project_id == project_id, not_(is_sure))


def _count(conn: Connection, project_id: int, *conditions: ColumnElement[bool]) -> int:
    of_project = releases.c.project_id == project_id, *conditions
    return conn.scalar(select(func.count()).select_from(releases).where(*of_project)) or 0


def _remove(conn: Connection, project_id: int, count: int, *conditions: ColumnElement[bool]) -> int:
    """Remove releases and return their number.

    Announced releases are removed last, and before them those that events named. Among equals, the
    least recently seen are removed first.
    """
    columns = releases.c
    heard_of = func.coalesce(columns.last_seen, columns.announced_at)
    order = columns.announced_at.is_not(None), columns.has_events, heard_of, columns.id
    oldest = select(columns.id).where(columns.project_id == project_id, *conditions)
    ids = list(conn.scalars(oldest.order_by(*order).limit(count)))
    conn.execute(delete(releases).where(columns.id.in_(ids)))
    return len(ids)
