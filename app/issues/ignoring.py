"""The columns of an ignored issue: who ignored it, until when, and what the condition counts from.

The counts of an issue change with merges and unmerges, too. Then what the condition counts from
changes with them, so that only new events and users count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, func, null, select, update

from app.issues.ignore_until import IgnoreUntil, read_stored
from app.issues.tables import issues
from app.stats.tables import releases

_COLUMNS = issues.c
# The values of an issue that is not ignored.
NOT_IGNORED: dict[str, Any] = dict.fromkeys(
    (
        *("ignored_by", "ignored_at", "ignore_until"),
        *("ignored_from", "ignored_events", "ignored_users", "ignored_release"),
    )
)


def ignored_values(actor: str | None, now: datetime, until: IgnoreUntil | None) -> dict[str, Any]:
    """Return the values of issues that are ignored now, partly as SQL expressions."""
    values = {**NOT_IGNORED, "ignored_by": actor, "ignored_at": now}
    if until is None:
        return values
    return values | {
        "ignore_until": until.stored,
        "ignored_from": now,
        "ignored_events": _COLUMNS.times_seen,
        "ignored_users": _COLUMNS.users,
        "ignored_release": newest_release() if until.next_release else null(),
    }


def newest_release() -> Any:
    """Return the SQL expression for the number of the newest release of an issue's project."""
    of_project = releases.c.project_id == _COLUMNS.project_id
    newest = select(func.coalesce(func.max(releases.c.id), 0)).where(of_project)
    return newest.scalar_subquery()


def values_after_merge(
    target: Row[Any], more_events: int, more_users: int, now: datetime
) -> dict[str, Any]:
    """Return the values of an ignored issue that gets the events and users of another issue.

    :param target: the issue before the merge.
    """
    until = read_stored(target.ignore_until)
    if until is None:
        return {}
    if until.looks_at_time:
        # The times of the other issue's events are unknown, so it begins anew.
        return {"ignored_from": now, "ignored_events": target.times_seen + more_events}
    return {
        "ignored_events": target.ignored_events + more_events,
        "ignored_users": target.ignored_users + more_users,
    }


def count_after_unmerge(conn: Connection, issue_id: int) -> None:
    """Correct what an ignored issue counts from, if it has fewer events or users than that now."""
    columns = (
        (_COLUMNS.ignored_events, _COLUMNS.times_seen),
        (_COLUMNS.ignored_users, _COLUMNS.users),
    )
    values = {old.name: case((old > new, new), else_=old) for old, new in columns}
    of_it = _COLUMNS.id == issue_id, _COLUMNS.ignore_until.is_not(None)
    conn.execute(update(issues).where(*of_it).values(**values))
