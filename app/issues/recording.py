"""Counting an occurrence into its issue, inside the transaction that accepts the event."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, case, func, update

from app.db import insert, inserted
from app.issues.grouping import Grouping
from app.issues.tables import issue_users, issues
from app.protocol.event import Event


def record_occurrence(conn: Connection, event: Event, grouping: Grouping, project_id: int) -> int:
    """Count one event into its issue, made here if it is the first, and return the issue's id."""
    statement = insert(conn, issues).values(_first(event, grouping, project_id))
    new = statement.excluded
    # Greatest and least by CASE: the two databases name those functions differently.
    statement = statement.on_conflict_do_update(
        index_elements=["project_id", "grouping_version", "grouping_hash"],
        set_={
            "title": new.title,
            "culprit": new.culprit,
            "level": new.level,
            "times_seen": issues.c.times_seen + 1,
            "stored_event_count": issues.c.stored_event_count + 1,
            "first_seen": case(
                (new.first_seen < issues.c.first_seen, new.first_seen), else_=issues.c.first_seen
            ),
            "last_seen": case(
                (new.last_seen > issues.c.last_seen, new.last_seen), else_=issues.c.last_seen
            ),
            "last_release": func.coalesce(new.last_release, issues.c.last_release),
        },
    ).returning(issues.c.id)
    issue_id = int(conn.execute(statement).scalar_one())
    _count_user(conn, issue_id, event.user)
    return issue_id


def _first(event: Event, grouping: Grouping, project_id: int) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "grouping_version": grouping.version,
        "grouping_hash": grouping.hash,
        "grouping_key": grouping.key,
        "title": event.title[:500],
        "culprit": event.culprit[:500],
        "type": event.type[:200],
        "level": event.level,
        "times_seen": 1,
        "stored_event_count": 1,
        "users": 0,
        "first_seen": event.timestamp,
        "last_seen": event.timestamp,
        "first_release": event.release and event.release[:250],
        "last_release": event.release and event.release[:250],
    }


def _count_user(conn: Connection, issue_id: int, user: dict[str, Any]) -> None:
    who = next(
        (user[key] for key in ("id", "username", "email", "ip_address") if user.get(key)), ""
    )
    if not who:
        return
    user_hash = hashlib.sha256(str(who).encode("utf-8", "replace")).hexdigest()[:32]
    statement = insert(conn, issue_users).values(issue_id=issue_id, user_hash=user_hash)
    if inserted(conn, statement):
        conn.execute(update(issues).where(issues.c.id == issue_id).values(users=issues.c.users + 1))
