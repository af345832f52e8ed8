"""Groupings: the keys that lead to an issue, and how an event finds its own.

key of the newest rules ── known? ── yes: its issue
                           └─ no: key of the older rules ── known? ── yes: attached to that issue
                                                            └─ no: a new issue

So no issue splits when the rules get a new version. The older key is computed only for events whose
new key is unknown, and no more for projects where it led nowhere for OLDER_DAYS.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, delete, select, update

from app.issues.grouping import Grouping
from app.issues.tables import REMOVED_KEY, groupings, issues, older_groupings
from app.store import insert_for

# A project, a version of the rules, and the hash of a key.
Key = tuple[int, str, str]

OLDER_DAYS = 90
# How exactly it is noted when a project last had a match.
_NOTED_AGAIN_AFTER = timedelta(days=1)


class Known(NamedTuple):
    """A grouping that is there, and of its issue what decides on what an event does to it.

    :param was_kept: its payload was removed; only what a person decided had been kept.
    :param first_seen: of the issue; ``None`` for one that is made here.
    """

    id: int
    issue_id: int
    status: str
    resolved_after: int | None
    resolved_in: str | None
    resolved_at: datetime | None
    was_kept: bool
    is_new: bool = False
    first_seen: datetime | None = None


class Attached(NamedTuple):
    """A key that is new, of an issue that is there."""

    key: Key
    grouping: Grouping
    known: Known


class Seen(NamedTuple):
    """How often a grouping was seen, and when."""

    id: int
    times: int
    first: datetime
    last: datetime


def find_groupings(conn: Connection, keys: Collection[Key]) -> dict[Key, Known]:
    """Return those of some keys that are there."""
    if not keys:
        return {}
    found = conn.execute(_FIND, {"hashes": sorted({key[2] for key in keys})})
    known = {(row.project_id, row.version, row.hash): _known(row) for row in found}
    return {key: grouping for key, grouping in known.items() if key in keys}


def projects_with_older(conn: Connection, ids: Iterable[int], now: datetime) -> set[int]:
    """Return those projects whose events may still be found by an older version of the rules."""
    of = older_groupings.c
    since = now - timedelta(days=OLDER_DAYS)
    query = select(of.project_id).where(of.project_id.in_(set(ids)), of.matched_at > since)
    return set(conn.scalars(query))


def attach(conn: Connection, found: Sequence[Attached], now: datetime) -> dict[Key, Known]:
    """Have new keys lead to issues that older ones led to; return them as they are then."""
    if not found:
        return {}
    rows = [
        _row(grouping.key, grouping.grouping, grouping.known.issue_id, now) for grouping in found
    ]
    ids = _insert(conn, rows)
    of = older_groupings.c
    stale = of.project_id.in_({grouping.key[0] for grouping in found})
    noted = update(older_groupings).where(stale, of.matched_at < now - _NOTED_AGAIN_AFTER)
    conn.execute(noted.values(matched_at=now))
    return {grouping.key: grouping.known._replace(id=ids[grouping.key]) for grouping in found}


def make_groupings(
    conn: Connection, made: Iterable[tuple[Key, Grouping, int]], now: datetime
) -> dict[Key, int]:
    """Insert the groupings of new issues and return their ids; they have seen nothing yet."""
    return _insert(conn, [_row(*grouping, now) for grouping in made])


def count_seen(conn: Connection, seen: Iterable[Seen]) -> None:
    """Count events into their groupings."""
    rows = [
        {"of": grouping.id, "more": grouping.times, "first": grouping.first, "last": grouping.last}
        for grouping in sorted(seen)
    ]
    if rows:
        conn.execute(_SEEN, rows)


def groupings_of(conn: Connection, issue_id: int) -> list[Row[Any]]:
    """Return an issue's groupings, the one seen last first."""
    of = groupings.c
    query = select(groupings).where(of.issue_id == issue_id)
    return list(conn.execute(query.order_by(of.last_seen.desc(), of.id.desc())))


def latest_groupings(conn: Connection, issue_ids: Collection[int]) -> dict[int, Row[Any]]:
    """Return of each issue the grouping that was seen last; those without one are left out."""
    of = groupings.c
    query = select(groupings).where(of.issue_id.in_(issue_ids)).order_by(of.last_seen, of.id)
    return {row.issue_id: row for row in conn.execute(query)} if issue_ids else {}


def grouping_of_event(conn: Connection, event: Row[Any]) -> Row[Any] | None:
    """Return the grouping that an event came by; if it is gone, the one its issue was seen by last.

    :param event: a row of ``events``.
    """
    query = select(groupings).where(groupings.c.id == event.grouping_id)
    # Ids are given again on SQLite: one that is not of this issue is another one.
    found = conn.execute(query.where(groupings.c.issue_id == event.issue_id)).first()
    return found or latest_groupings(conn, [event.issue_id]).get(event.issue_id)


def forget_keys(conn: Connection, issue_ids: Collection[int]) -> None:
    """Remove what the keys of issues say; their hashes stay, so that events find their issues."""
    of = groupings.c
    forgotten = update(groupings).where(of.issue_id.in_(issue_ids), of.key != REMOVED_KEY)
    conn.execute(forgotten.values(key=REMOVED_KEY))


def delete_groupings(conn: Connection, issue_ids: Collection[int]) -> None:
    """Delete the groupings of issues, so that what comes now makes new ones."""
    conn.execute(delete(groupings).where(groupings.c.issue_id.in_(issue_ids)))


def _known(row: Row[Any]) -> Known:
    return Known(
        row.id,
        row.issue_id,
        row.status,
        row.resolved_after,
        row.resolved_in,
        row.resolved_at,
        row.was_kept,
        first_seen=row.first_seen,
    )


def _row(key: Key, grouping: Grouping, issue_id: int, now: datetime) -> dict[str, Any]:
    project_id, version, hash = key
    return {
        "project_id": project_id,
        "version": version,
        "hash": hash,
        "key": grouping.key,
        "reason": grouping.reason[:200],
        "issue_id": issue_id,
        "times_seen": 0,
        "first_seen": now,
        "last_seen": now,
    }


def _insert(conn: Connection, rows: list[dict[str, Any]]) -> dict[Key, int]:
    if not rows:
        return {}
    found = conn.execute(_insertion(conn.dialect.name), rows)
    return {(project_id, version, hash): id for id, project_id, version, hash in found}


@functools.cache
def _insertion(dialect: str) -> Any:
    of = groupings.c
    return insert_for(dialect, groupings).returning(of.id, of.project_id, of.version, of.hash)


# Built once: putting a statement together takes longer than executing it.
_FIND = (
    select(
        groupings.c.id,
        groupings.c.project_id,
        groupings.c.version,
        groupings.c.hash,
        groupings.c.issue_id,
        issues.c.status,
        issues.c.resolved_after,
        issues.c.resolved_in,
        issues.c.resolved_at,
        (groupings.c.key == REMOVED_KEY).label("was_kept"),
        issues.c.first_seen,
    )
    .join(issues, issues.c.id == groupings.c.issue_id)
    .where(groupings.c.hash.in_(bindparam("hashes", expanding=True)))
)


def _seen_statement() -> Any:
    of, moment = groupings.c, groupings.c.first_seen.type
    first, last = bindparam("first", type_=moment), bindparam("last", type_=moment)
    # What has seen nothing yet has no times of its own.
    is_earlier = (of.times_seen == 0) | (of.first_seen > first)
    is_later = (of.times_seen == 0) | (of.last_seen < last)
    return (
        update(groupings)
        .where(of.id == bindparam("of"))
        .values(
            times_seen=of.times_seen + bindparam("more"),
            first_seen=case((is_earlier, first), else_=of.first_seen),
            last_seen=case((is_later, last), else_=of.last_seen),
        )
    )


_SEEN = _seen_statement()
