"""Update the affected users of issues when issues are merged or unmerged.

merge_users      add the users of an issue to another one: at once, from the stored users
add_users        add the users of events that move to another issue, batch by batch
recount_users    after all events have moved: count users from the events, if none were pruned

For an issue at MAX_USERS, only the users of today are stored (:mod:`app.stats.users`). Its count
stays at MAX_USERS, unless its events show all of its users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, func, literal, select, update

from app.events.tables import events
from app.issues.tables import issues
from app.stats import users as affected
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE
from app.stats.windows import HOURS_A_DAY, hour_number
from app.store import larger, smaller, upsert

_USERS, _DAYS, _EVENTS = affected_users.c, affected_days.c, events.c
# A user is affected by an issue from the first of these times to the last.
_TIMES_OF_BOTH = {"first_day": smaller, "last_hour": larger}


def merge_users(conn: Connection, source_id: int, target_id: int) -> int:
    """Move the users of an issue to another issue, and return how many of them are new there.

    The number is exact as far as users are stored; see :mod:`app.stats.users` for the bounds.
    """
    of_source = _of_issue(source_id)
    both = select(func.count()).where(*of_source, _USERS.user_hash.in_(_hashes(target_id)))
    shared = int(conn.scalar(both.select_from(affected_users)) or 0)
    users = int(conn.scalar(select(issues.c.users).where(issues.c.id == source_id)) or 0)
    _merge_days(conn, source_id, target_id)
    row = select(
        _USERS.kind,
        literal(target_id),
        _USERS.user_hash,
        _USERS.first_day,
        _USERS.last_hour,
        _USERS.hour_before,
    )
    conn.execute(upsert(conn, affected_users, row.where(*of_source), **_TIMES_OF_BOTH))
    conn.execute(delete(affected_users).where(*of_source))
    return max(0, users - shared)


def _of_issue(issue_id: int) -> tuple[Any, ...]:
    return _USERS.kind == ISSUE, _USERS.of_id == issue_id


def _hashes(issue_id: int) -> Any:
    return select(_USERS.user_hash).where(*_of_issue(issue_id))


def _merge_days(conn: Connection, source_id: int, target_id: int) -> None:
    """Add the user counts per day of two issues; a user of both issues counts once a day.

    The stored events show which users these are. Without events, the larger count of the two is
    used for a day.
    """
    by_day: dict[int, list[int]] = {}
    query = select(_DAYS.day, _DAYS.users).where(
        _DAYS.kind == ISSUE, _DAYS.of_id.in_((source_id, target_id))
    )
    for day, users in conn.execute(query):
        by_day.setdefault(day, []).append(users)
    shared = [day for day, counts in by_day.items() if len(counts) > 1]
    both = _met_by(conn, (source_id, target_id)) if shared else set()
    met = _users_by_day(both)
    rows = [
        {"kind": ISSUE, "of_id": target_id, "day": day, "users": max(*counts, met[day])}
        if len(counts) > 1
        else {"kind": ISSUE, "of_id": target_id, "day": day, "users": counts[0]}
        for day, counts in by_day.items()
    ]
    _set_days(conn, (source_id, target_id), rows)


def _set_days(conn: Connection, of: tuple[int, ...], rows: list[dict[str, Any]]) -> None:
    conn.execute(delete(affected_days).where(_DAYS.kind == ISSUE, _DAYS.of_id.in_(of)))
    if rows:
        conn.execute(affected_days.insert(), rows)


def _met_by(conn: Connection, issue_ids: tuple[int, ...]) -> set[tuple[int, str]]:
    """Return the hours and user hashes of the stored events of issues."""
    query = select(_EVENTS.timestamp, _EVENTS.user_hash).where(_EVENTS.issue_id.in_(issue_ids))
    query = query.where(_EVENTS.user_hash != "")
    return {(hour_number(at), who) for at, who in conn.execute(query)}


def _users_by_day(met: Iterable[tuple[int, str]]) -> Counter[int]:
    """Return the number of users of each day, from the hours and user hashes of events."""
    return Counter(day for day, _ in {(hour // HOURS_A_DAY, who) for hour, who in met})


def add_users(conn: Connection, issue_id: int, met: Iterable[tuple[str, int]]) -> None:
    """Store the users of events and their times; events without a user are left out.

    The user count of the issue is not changed here.

    :param met: user hash of each event, and the hour in which it happened.
    """
    of_issue = {"kind": ISSUE, "of_id": issue_id}
    rows = [
        {**of_issue, "user_hash": who, "first_day": hour // HOURS_A_DAY, "last_hour": hour}
        for who, hour in sorted(met)
        if who
    ]
    if rows:
        conn.execute(upsert(conn, affected_users, **_TIMES_OF_BOTH), rows)


def recount_users(conn: Connection, source_id: int, target_id: int) -> None:
    """Count the users of both issues after an unmerge, when all events have arrived."""
    forgotten = _forget_moved_users(conn, source_id, target_id)
    for issue_id in (source_id, target_id):
        issue = conn.execute(select(issues).where(issues.c.id == issue_id)).one()
        if issue.times_seen == issue.stored_event_count:
            users = _recount_by_events(conn, issue_id)
        elif issue_id == target_id:
            # Some of its events were pruned during the move.
            users = max(_recount_by_events(conn, issue_id), _noted(conn, issue_id))
        else:
            users = _less(issue.users, forgotten)
        conn.execute(update(issues).where(issues.c.id == issue_id).values(users=users))


def _recount_by_events(conn: Connection, issue_id: int) -> int:
    """Count the users of an issue from its events; also replace its counts per day."""
    met = _met_by(conn, (issue_id,))
    users = len({who for _, who in met})
    if _noted(conn, issue_id) < users < affected.MAX_USERS:
        # At the bound, users of other days were deleted; below the bound they must be stored again.
        add_users(conn, issue_id, ((who, hour) for hour, who in met))
    shape = {"kind": ISSUE, "of_id": issue_id}
    days = _users_by_day(met)
    _set_days(conn, (issue_id,), [{**shape, "day": d, "users": n} for d, n in days.items()])
    return users


def _noted(conn: Connection, issue_id: int) -> int:
    query = select(func.count()).select_from(affected_users).where(*_of_issue(issue_id))
    return int(conn.scalar(query) or 0)


def _less(users: int, fewer: int) -> int:
    """Subtract users from a count; a count at MAX_USERS stays, because there may be more users."""
    return users if users >= affected.MAX_USERS else max(0, users - fewer)


def _forget_moved_users(conn: Connection, source_id: int, target_id: int) -> int:
    """Delete users of the old issue whose events all moved, and return how many were deleted."""
    left = select(_EVENTS.user_hash).where(
        _EVENTS.issue_id == source_id, _EVENTS.user_hash.is_not(None)
    )
    gone = *_of_issue(source_id), _USERS.user_hash.in_(_hashes(target_id))
    return conn.execute(delete(affected_users).where(*gone, _USERS.user_hash.not_in(left))).rowcount
