"""Groupings: the keys of issues, and how an event finds its issue.

key of the newest rules ── known? ── yes: its issue
                           └─ no: key of the older rules ── known? ── yes: attached to that issue
                                                            └─ no: a new issue

So no issue splits when the rules get a new version. The older key is computed only for events whose
new key is unknown. It is not computed for projects without a match by an older key for OLDER_DAYS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, case, delete, select, update

from app.issues.grouping import Grouping
from app.issues.tables import REMOVED_KEY, groupings, issues, older_groupings
from app.store import DriverStatement, is_in

# A project, a version of the rules, and the hash of a key.
Key = tuple[int, str, str]

OLDER_DAYS = 90
# How often the time of a project's last match is updated, at most.
_NOTED_AGAIN_AFTER = timedelta(days=1)


class Known(NamedTuple):
    """A stored grouping, and the columns of its issue that decide what an event changes.

    :param was_kept: the issue was reduced to a person's decisions; its payload was removed.
    :param first_seen: when the issue was first seen; ``None`` for a new issue.
    """

    id: int
    issue_id: int
    status: str
    resolved_after: int | None
    resolved_in: str | None
    resolved_at: datetime | None
    was_kept: bool
    first_seen: datetime | None = None
    is_new: bool = False


class Attached(NamedTuple):
    """A new key of an existing issue."""

    key: Key
    grouping: Grouping
    known: Known


class Seen(NamedTuple):
    """The number of events of a grouping in a batch, and the times of the first and the last."""

    id: int
    times: int
    first: datetime
    last: datetime


def find_groupings(conn: Connection, keys: Collection[Key]) -> dict[Key, Known]:
    """Return the stored groupings of these keys, by key; unknown keys are left out."""
    found = _FIND.fetch(conn, {"hashes": sorted({key[2] for key in keys})})
    known = {row[:3]: Known(*row[3:]) for row in found}
    return {key: grouping for key, grouping in known.items() if key in keys}


def projects_with_older(conn: Connection, ids: Iterable[int], now: datetime) -> set[int]:
    """Return the projects whose events may still match groupings of older rules."""
    of = older_groupings.c
    since = now - timedelta(days=OLDER_DAYS)
    query = select(of.project_id).where(of.project_id.in_(set(ids)), of.matched_at > since)
    return set(conn.scalars(query))


def attach(conn: Connection, found: Sequence[Attached], now: datetime) -> dict[Key, Known]:
    """Store new keys for the issues of older keys, and return the new groupings by key."""
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
    """Insert the groupings of new issues, with no events yet, and return their ids by key.

    :param made: the key, the grouping and the issue id of each.
    """
    return _insert(conn, [_row(*grouping, now) for grouping in made])


def count_seen(conn: Connection, seen: Iterable[Seen]) -> None:
    """Add event counts to groupings, and update when they were first and last seen."""
    rows = [
        {"of": grouping.id, "more": grouping.times, "first": grouping.first, "last": grouping.last}
        for grouping in sorted(seen)
    ]
    _SEEN.run(conn, rows)


def groupings_of(conn: Connection, issue_id: int) -> list[Row[Any]]:
    """Return an issue's groupings, most recently seen first."""
    of = groupings.c
    query = select(groupings).where(of.issue_id == issue_id)
    return list(conn.execute(query.order_by(of.last_seen.desc(), of.id.desc())))


def latest_groupings(conn: Connection, issue_ids: Collection[int]) -> dict[int, Row[Any]]:
    """Return the most recently seen grouping of each issue; issues without one are left out."""
    of = groupings.c
    query = select(groupings).where(of.issue_id.in_(issue_ids)).order_by(of.last_seen, of.id)
    return {row.issue_id: row for row in conn.execute(query)} if issue_ids else {}


def grouping_of_event(conn: Connection, event: Row[Any]) -> Row[Any] | None:
    """Return the grouping of an event, or else the most recently seen one of its issue.

    :param event: a row of ``events``.
    :return: ``None`` if the issue has no grouping.
    """
    given = {"id": event.grouping_id, "issue": event.issue_id}
    found = conn.execute(_of_event(), given).first() if event.grouping_id is not None else None
    return found or conn.execute(_latest(), given).first()


@cache
def _of_event() -> Select[Any]:
    of = groupings.c
    # SQLite reuses ids: a grouping of another issue is a different one with the same id.
    is_same = of.id == bindparam("id"), of.issue_id == bindparam("issue")
    return select(groupings).where(*is_same)


@cache
def _latest() -> Select[Any]:
    of = groupings.c
    query = select(groupings).where(of.issue_id == bindparam("issue"))
    return query.order_by(of.last_seen.desc(), of.id.desc()).limit(1)


def forget_keys(conn: Connection, issue_ids: Collection[int]) -> None:
    """Remove the readable keys of issues; the hashes stay, so that events find their issues."""
    of = groupings.c
    forgotten = update(groupings).where(of.issue_id.in_(issue_ids), of.key != REMOVED_KEY)
    conn.execute(forgotten.values(key=REMOVED_KEY))


def delete_groupings(conn: Connection, issue_ids: Collection[int]) -> None:
    """Delete the groupings of issues, so that later events make new issues."""
    conn.execute(delete(groupings).where(groupings.c.issue_id.in_(issue_ids)))


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
    return {row[1:]: row[0] for row in _INSERTION.fetch_each(conn, rows)}


_KEY = groupings.c.project_id, groupings.c.version, groupings.c.hash
_INSERTION = DriverStatement(lambda dialect: groupings.insert().returning(groupings.c.id, *_KEY))
# The key, then the fields of Known in their order.
_FIND = DriverStatement(
    lambda dialect, size: (
        select(
            *_KEY,
            groupings.c.id,
            groupings.c.issue_id,
            issues.c.status,
            issues.c.resolved_after,
            issues.c.resolved_in,
            issues.c.resolved_at,
            (groupings.c.key == REMOVED_KEY).label("was_kept"),
            issues.c.first_seen,
        )
        .join(issues, issues.c.id == groupings.c.issue_id)
        .where(is_in(groupings.c.hash, "hashes", size))
    ),
    takes="hashes",
)


def _seen_statement(dialect: str) -> Any:
    of, moment = groupings.c, groupings.c.first_seen.type
    first, last = bindparam("first", type_=moment), bindparam("last", type_=moment)
    # The times of a grouping without events are not yet those of an event.
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


_SEEN = DriverStatement(_seen_statement)
