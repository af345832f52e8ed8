"""The counts in the rows of issues: their events, when they were seen, and affected users."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, update

from app.issues.occurrence import Occurrence
from app.issues.overflow import OTHER_CULPRIT, OTHER_TITLE
from app.issues.tables import issues
from app.stats.users import ISSUE, RELEASE, UserCounter
from app.stats.windows import hour_number
from app.store import DriverStatement


def count_events(
    conn: Connection, groups: Iterable[tuple[int, list[Occurrence]]], now: datetime
) -> None:
    """Add events to the counts of existing issues, which get the words of their last event.

    :param groups: the id of each issue, and its events.
    """
    rows = [_update_row(issue_id, group, now) for issue_id, group in groups]
    _COUNTED.run(conn, sorted(rows, key=itemgetter("of")))


def _update_row(issue_id: int, group: list[Occurrence], now: datetime) -> dict[str, Any]:
    latest, seen = group[-1], [occurrence.event.timestamp for occurrence in group]
    row = {
        "of": issue_id,
        "new_title": latest.title,
        "new_culprit": latest.culprit,
        "new_level": latest.event.level,
        "more": len(seen),
        "first": min(seen),
        "last": max(seen),
        "now": now,
        "new_release": latest.event.release and latest.event.release[:250],
    }
    if latest.is_other:
        row |= {"new_title": OTHER_TITLE, "new_culprit": OTHER_CULPRIT, "new_release": None}
    return row


def count_users(
    conn: Connection,
    met: Iterable[tuple[int, Occurrence]],
    users: UserCounter | None,
    now: datetime,
) -> None:
    """Count the users that events affected, for their issues and releases.

    :param met: the issue of each event, and the event.
    """
    rows = []
    for issue_id, occurrence in met:
        if who := occurrence.user_hash:
            hour = hour_number(occurrence.event.timestamp)
            rows.append((ISSUE, issue_id, who, hour))
            if occurrence.release_id is not None:
                rows.append((RELEASE, occurrence.release_id, who, hour))
    new = (users or UserCounter()).count(conn, rows, now)
    _USERS_ADDED.run(conn, [{"of": of, "more": more} for of, more in sorted(new.items())])


def _counted_statement(dialect: str) -> Any:
    of, moment = issues.c, issues.c.first_seen.type
    first, last = bindparam("first", type_=moment), bindparam("last", type_=moment)
    more = bindparam("more", type_=of.times_seen.type)
    # CASE instead of greatest and least: the two databases name those functions differently.
    return (
        update(issues)
        .where(of.id == bindparam("of"))
        .values(
            title=bindparam("new_title"),
            culprit=bindparam("new_culprit"),
            level=bindparam("new_level"),
            times_seen=of.times_seen + more,
            stored_event_count=of.stored_event_count + more,
            first_seen=case((first < of.first_seen, first), else_=of.first_seen),
            last_seen=case((last > of.last_seen, last), else_=of.last_seen),
            last_received_at=bindparam("now", type_=moment),
            last_release=func.coalesce(
                bindparam("new_release", type_=of.last_release.type), of.last_release
            ),
        )
    )


_COUNTED = DriverStatement(_counted_statement)
_USERS_ADDED = DriverStatement(
    lambda dialect: (
        update(issues)
        .where(issues.c.id == bindparam("of"))
        .values(users=issues.c.users + bindparam("more"))
    )
)
