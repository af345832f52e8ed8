"""Counting occurrences into their issues, inside the transaction that accepts the events."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, update

from app.db import insert_for
from app.issues.grouping import Grouping
from app.issues.tables import issue_users, issues
from app.protocol.event import Event

Key = tuple[int, str, str]


class Occurrence(NamedTuple):
    """An event and the issue that it belongs to."""

    project_id: int
    event: Event
    grouping: Grouping

    @property
    def key(self) -> Key:
        """What an issue is alone with."""
        return self.project_id, self.grouping.version, self.grouping.hash


class Recorded(NamedTuple):
    """The issue that an event was counted into; ``is_first``: it is the issue's first event."""

    issue_id: int
    is_first: bool


def record_occurrences(conn: Connection, occurrences: list[Occurrence]) -> list[Recorded]:
    """Count events into their issues, made here if they are the first.

    :return: what became of each, in order.
    """
    groups: dict[Key, list[Occurrence]] = {}
    for occurrence in occurrences:
        groups.setdefault(occurrence.key, []).append(occurrence)
    found = {key: _count_into_issue(conn, group) for key, group in groups.items()}
    _count_users(conn, [(found[one.key].issue_id, one.event.user_identity) for one in occurrences])
    return [
        Recorded(issue_id, is_new and one is groups[one.key][0])
        for one in occurrences
        for issue_id, is_new in [found[one.key]]
    ]


def _count_into_issue(conn: Connection, group: list[Occurrence]) -> Recorded:
    row = conn.execute(_upsert(conn.dialect.name), _row(group)).one()
    return Recorded(int(row.id), row.times_seen == len(group))


# Built once: putting this statement together takes longer than executing it.
@functools.cache
def _upsert(dialect: str) -> Any:
    statement = insert_for(dialect, issues)
    new = statement.excluded
    # Greatest and least by CASE: the two databases name those functions differently.
    return statement.on_conflict_do_update(
        index_elements=["project_id", "grouping_version", "grouping_hash"],
        set_={
            "title": new.title,
            "culprit": new.culprit,
            "level": new.level,
            "times_seen": issues.c.times_seen + new.times_seen,
            "stored_event_count": issues.c.stored_event_count + new.stored_event_count,
            "first_seen": case(
                (new.first_seen < issues.c.first_seen, new.first_seen), else_=issues.c.first_seen
            ),
            "last_seen": case(
                (new.last_seen > issues.c.last_seen, new.last_seen), else_=issues.c.last_seen
            ),
            "last_release": func.coalesce(new.last_release, issues.c.last_release),
        },
    ).returning(issues.c.id, issues.c.times_seen)


def _row(group: list[Occurrence]) -> dict[str, Any]:
    latest, grouping = group[-1].event, group[-1].grouping
    seen = [one.event.timestamp for one in group]
    release = latest.release and latest.release[:250]
    return {
        "project_id": group[-1].project_id,
        "grouping_version": grouping.version,
        "grouping_hash": grouping.hash,
        "grouping_key": grouping.key,
        "title": latest.title[:500],
        "culprit": latest.culprit[:500],
        "type": latest.type[:200],
        "level": latest.level,
        "times_seen": len(group),
        "stored_event_count": len(group),
        "users": 0,
        "first_seen": min(seen),
        "last_seen": max(seen),
        "first_release": release,
        "last_release": release,
    }


def _count_users(conn: Connection, met: list[tuple[int, str | None]]) -> None:
    pairs = {(issue_id, _hash(identity)) for issue_id, identity in met if identity}
    if not pairs:
        return
    rows = [{"issue_id": issue_id, "user_hash": who} for issue_id, who in sorted(pairs)]
    new = Counter(conn.scalars(_user_insert(conn.dialect.name), rows))
    for issue_id, count in new.items():
        conn.execute(
            update(issues).where(issues.c.id == issue_id).values(users=issues.c.users + count)
        )


@functools.cache
def _user_insert(dialect: str) -> Any:
    statement = insert_for(dialect, issue_users).on_conflict_do_nothing()
    return statement.returning(issue_users.c.issue_id)


def _hash(identity: str) -> str:
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
