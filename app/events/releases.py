"""Releases: which versions of a project there are, since when, and when each was last heard of.

One is known from the first event, transaction or session that names it, or since it was announced,
whichever comes first. They are in the order in which they became known, which is that of their ids:
no version is taken apart to guess which of two is newer.

Bounded whatever clients send: a project has at most MAX_RELEASES. A new one then takes the place of
the one that was not announced and was heard of longest ago.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    delete,
    false,
    func,
    select,
    update,
)

from app.db import UtcDateTime, metadata

# Three a day for most of a year. Counting them, when one is new, takes a tenth of a millisecond.
MAX_RELEASES = 1000
VERSION_LENGTH = 250
# How exact `last_seen` is: a row is written so often, and not for every event.
TOUCHED_EVERY = timedelta(minutes=1)
# Releases that a process remembers.
MAX_KNOWN = 10_000

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("version", String(VERSION_LENGTH), nullable=False),
    # By this service's clock; NULL while it is only announced.
    Column("first_seen", UtcDateTime),
    Column("last_seen", UtcDateTime),
    # NULL where it appeared by itself.
    Column("announced_at", UtcDateTime),
    Column("announced_by", String(200)),
    # Whether an event named it, or only sessions and transactions did.
    Column("has_events", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("project_id", "version"),
    Index(None, "project_id", "id"),
    # No id twice: the ids are the order, and issues remember them.
    sqlite_autoincrement=True,
)


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


class ReleaseBook:
    """Notes the releases of one store as they are heard of."""

    def __init__(self) -> None:
        # When each was last written; a release that another process removed is found out then.
        self._known: dict[Release, tuple[int, datetime]] = {}

    def see(self, conn: Connection, heard: Iterable[Release | None], now: datetime) -> Seen:
        """Note releases, made where they are new; the caller commits.

        :param heard: in order, with repeats; ``None`` is left out, and so is what is beyond
            MAX_RELEASES that are to be looked up.
        """
        wanted = dict.fromkeys(one for one in heard if one is not None)
        ids: dict[Release, int] = {}
        stale: list[Release] = []
        for one in wanted:
            number, written = self._known.get(one, (0, now))
            if number and abs(now - written) < TOUCHED_EVERY:
                ids[one] = number
            # Nobody deploys more at once, and statements have limits.
            elif len(stale) < MAX_RELEASES:
                stale.append(one)
        if not stale:
            return Seen(ids, {})
        found = _touch(conn, stale, now)
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        # Those that are made here are not remembered: this transaction may be rolled back.
        self._known.update({one: (number, now) for one, number in found.items()})
        missing = [one for one in stale if one not in found]
        for one in missing:
            self._known.pop(one, None)
        made = make(conn, missing, first_seen=now, last_seen=now)
        return Seen(ids | found | made, made)


def make(
    conn: Connection,
    missing: Iterable[Release],
    *,
    first_seen: datetime | None = None,
    last_seen: datetime | None = None,
    announced_at: datetime | None = None,
    announced_by: str | None = None,
) -> dict[Release, int]:
    """Make releases that are not there, and room for them; return their numbers in order.

    :param missing: at most MAX_RELEASES.
    """
    by_project: dict[int, list[Release]] = {}
    for one in missing:
        by_project.setdefault(one.project_id, []).append(one)
    values = {
        "first_seen": first_seen,
        "last_seen": last_seen,
        "announced_at": announced_at,
        "announced_by": announced_by,
    }
    rows = []
    for project_id, new in by_project.items():
        _make_room(conn, project_id, len(new))
        rows += [{**one._asdict(), **values} for one in new]
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
    )
    .returning(*_KEY, releases.c.id)
)


def _touch(conn: Connection, wanted: list[Release], now: datetime) -> dict[Release, int]:
    by_project: dict[int, list[str]] = {}
    for one in wanted:
        by_project.setdefault(one.project_id, []).append(one.version)
    return {
        Release(project_id, version): number
        for of, versions in by_project.items()
        for project_id, version, number in conn.execute(
            _TOUCH, {"of": of, "wanted": versions, "now": now}
        )
    }


def _make_room(conn: Connection, project_id: int, wanted: int) -> None:
    of_project = releases.c.project_id == project_id
    count = conn.scalar(select(func.count()).select_from(releases).where(of_project)) or 0
    if (beyond := count + wanted - MAX_RELEASES) <= 0:
        return
    heard_of = func.coalesce(releases.c.last_seen, releases.c.announced_at)
    order = releases.c.announced_at.is_not(None), heard_of, releases.c.id
    oldest = select(releases.c.id).where(of_project).order_by(*order).limit(beyond)
    conn.execute(delete(releases).where(releases.c.id.in_(list(conn.scalars(oldest)))))
