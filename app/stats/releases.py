"""Releases: which versions of a project there are, since when, and when each was last heard of.

One is known from the first event, transaction or session that names it, or since it was announced,
whichever comes first. They are in the order in which they became known, which is that of their ids.
What was resolved in one goes by versions, too (:mod:`app.issues.fixed_in`).

Bounded whatever clients send: a project has at most MAX_RELEASES. A new one then takes the place of
the one that only sessions and transactions named and that was heard of longest ago; then of one
that events named; then of one that was announced. One that no event names never takes the place of
one that events named or that was announced, and at most MAX_UNPROVEN of those appear in an hour.
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

# Three a day for most of a year. Counting them, when one is new, takes a tenth of a millisecond.
MAX_RELEASES = 1000
# Releases of a project that no event named, in an hour: made-up ones cost no more than that.
MAX_UNPROVEN = 100
UNPROVEN_WITHIN = timedelta(hours=1)
# How exact `last_seen` is: a row is written so often, and not for every event.
TOUCHED_EVERY = timedelta(minutes=1)
# Releases that a process remembers.
MAX_KNOWN = 10_000


class Release(NamedTuple):
    """What a release is alone with."""

    project_id: int
    version: str


class Seen(NamedTuple):
    """Releases by their numbers.

    :param made: those that were not known before, the oldest first.
    """

    ids: dict[Release, int]
    made: dict[Release, int]


def release_of(project_id: int, version: str | None) -> Release | None:
    """Return what a client calls its release as it is kept; ``None`` without a name."""
    return Release(project_id, version[:VERSION_LENGTH]) if version else None


class _Known(NamedTuple):
    """What a process remembers of a release: its number, when it was written, and by what."""

    number: int
    written: datetime
    has_events: bool


class ReleaseRecorder:
    """Notes the releases of one store as they are heard of."""

    def __init__(self) -> None:
        # A release that another process removed is found out when it is written again.
        self._known: dict[Release, _Known] = {}

    def see(
        self,
        conn: Connection,
        heard: Iterable[Release | None],
        now: datetime,
        of_events: Collection[Release | None] = (),
    ) -> Seen:
        """Note releases, made where they are new; the caller commits.

        :param heard: in order, with repeats; ``None`` is left out, and so is what is beyond
            MAX_RELEASES that are to be looked up.
        :param of_events: those that events name. Of the others, those that there is no room for
            have no number.
        """
        wanted = dict.fromkeys(release for release in heard if release is not None)
        ids: dict[Release, int] = {}
        stale: list[Release] = []
        for release in wanted:
            known = self._known.get(release)
            is_proven = known is not None and (known.has_events or release not in of_events)
            if known and is_proven and abs(now - known.written) < TOUCHED_EVERY:
                ids[release] = known.number
            # Nobody deploys more at once, and statements have limits.
            elif len(stale) < MAX_RELEASES:
                stale.append(release)
        if not stale:
            return Seen(ids, {})
        proven = [release for release in stale if release in of_events]
        unproven = [release for release in stale if release not in of_events]
        found = self._touch(conn, proven, now, True) | self._touch(conn, unproven, now, False)
        # Those that are made here are not remembered: this transaction may be rolled back.
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
    """Make releases that are not there, and room for them; return their numbers in order.

    :param missing: at most MAX_RELEASES.
    :param of_events: those that events name. Others that are not announced either are made only as
        far as there is room for them, see :data:`MAX_UNPROVEN`.
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
    if not rows:
        return {}
    found = conn.execute(_INSERT, rows)
    return {Release(project_id, version): number for project_id, version, number in found}


def newest_id(conn: Connection, project_id: int) -> int:
    """Return the number of the newest release of a project, 0 without any."""
    newest = select(func.max(releases.c.id)).where(releases.c.project_id == project_id)
    return conn.scalar(newest) or 0


_KEY = releases.c.project_id, releases.c.version
_INSERT = releases.insert().returning(*_KEY, releases.c.id, sort_by_parameter_order=True)
_TOUCH = (
    update(releases)
    # By project: for a list of pairs SQLite reads the whole table.
    .where(releases.c.project_id == bindparam("of"))
    .where(releases.c.version.in_(bindparam("wanted", expanding=True)))
    .values(
        last_seen=bindparam("now"),
        first_seen=func.coalesce(releases.c.first_seen, bindparam("now")),
        has_events=or_(releases.c.has_events, bindparam("of_events", type_=Boolean())),
    )
    .returning(*_KEY, releases.c.id)
)


def _touch(
    conn: Connection, wanted: list[Release], now: datetime, has_events: bool
) -> dict[Release, int]:
    by_project: dict[int, list[str]] = {}
    for release in wanted:
        by_project.setdefault(release.project_id, []).append(release.version)
    return {
        Release(project_id, version): number
        for of, versions in by_project.items()
        for project_id, version, number in conn.execute(
            _TOUCH, {"of": of, "wanted": versions, "now": now, "of_events": has_events}
        )
    }


def _make_room(conn: Connection, project_id: int, wanted: int) -> None:
    """Remove what is beyond the bound with so many new ones, the least certain first."""
    if (beyond := _count(conn, project_id) + wanted - MAX_RELEASES) > 0:
        _remove(conn, project_id, beyond)


def _room_for_unproven(conn: Connection, project_id: int, wanted: int, now: datetime | None) -> int:
    """Make room for releases that no event named; return how many of them may come."""
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
    """Remove releases, those that are least certain and were heard of longest ago first."""
    columns = releases.c
    heard_of = func.coalesce(columns.last_seen, columns.announced_at)
    order = columns.announced_at.is_not(None), columns.has_events, heard_of, columns.id
    oldest = select(columns.id).where(columns.project_id == project_id, *conditions)
    ids = list(conn.scalars(oldest.order_by(*order).limit(count)))
    conn.execute(delete(releases).where(columns.id.in_(ids)))
    return len(ids)
