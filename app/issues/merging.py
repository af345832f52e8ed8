"""Merge issues into one, and unmerge groupings from an issue.

merge     groupings, history, feedback and counts move to the oldest issue ── at once;
          each of the other issues stays as a row that refers to it
unmerge   each chosen grouping makes a new issue ── at once, empty
both      events follow in batches (:mod:`app.issues.moving`)
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from app.accounts import audit
from app.inputs import Conflict, InputError
from app.issues.counting import merge_tags
from app.issues.followers import follow_merge, follow_unmerge
from app.issues.groupings import groupings_of
from app.issues.ignoring import NOT_IGNORED, values_after_merge
from app.issues.moving import finish_moves, moving_issues
from app.issues.over_time import merge_hours
from app.issues.queries import find_issue
from app.issues.tables import (
    MERGED,
    STATUSES,
    IssueStatus,
    feedback,
    groupings,
    issue_moves,
    issue_similarity,
    issues,
    transitions,
)
from app.issues.user_moves import merge_users
from app.protocol.test_error import is_test_key
from app.store import Store, utc_now

MAX_MERGED = 100
# Batches of events that a request waits for; a background task moves the rest.
BATCHES_AT_ONCE = 20


class CannotMerge(InputError):
    """These issues cannot be merged, or these groupings cannot be unmerged; the text says why."""


class StillMoving(CannotMerge, Conflict):
    """Events are still moving to or from one of the issues; try again when they have arrived."""


def merge(
    conn: Connection, issue_ids: Collection[int], actor: str | None, now: datetime | None = None
) -> int:
    """Merge issues of a project into the oldest of them; their events follow.

    The oldest issue keeps its id, its status, how it was resolved and until when it is ignored. It
    keeps the user that it is assigned to, or else gets that of another one.

    :param issue_ids: ids of 2 to MAX_MERGED existing issues; repeated ids count once.
    :return: the id of the issue that remains.
    :raise CannotMerge: there are too few or too many issues, they are of several projects, or one
        of them does not exist.
    :raise StillMoving: the last merge or unmerge of one of them is not finished.
    """
    target, *sources = _checked(conn, issue_ids)
    now = now or utc_now()
    for source in sources:
        _merge_one(conn, target.id, source, now)
    said = ", ".join(f"issue {issue.id}: {issue.title[:100]}" for issue in sources)
    _write_history(conn, target.id, "merged", actor, now, said)
    merged = ", ".join(str(issue.id) for issue in sources)
    audit.note(conn, "issues_merged", f"issue {target.id}", f"issues {merged}")
    return int(target.id)


def unmerge(
    conn: Connection,
    issue_id: int,
    hashes: Collection[str],
    actor: str | None,
    now: datetime | None = None,
) -> list[int]:
    """Move groupings of an issue to new issues, one for each; their events follow.

    Counts of pruned events stay with the old issue.

    :param hashes: the hashes of the groupings, as in the rows of :func:`groupings_of`.
    :return: the ids of the new issues, in the order of the hashes.
    :raise CannotMerge: the issue has no such grouping, or would have none left.
    :raise StillMoving: the last merge or unmerge of the issue is not finished.
    """
    issue = find_issue(conn, issue_id)
    if issue is None:
        raise CannotMerge("no issue has this id", "hashes")
    there = groupings_of(conn, issue.id)
    wanted = list(dict.fromkeys(hashes))
    if unknown := set(wanted) - {one.hash for one in there}:
        raise CannotMerge(f"the issue has no grouping {min(unknown)}", "hashes")
    if not wanted:
        raise CannotMerge("at least one grouping is expected", "hashes")
    if len({one.hash for one in there}) <= len(wanted):
        raise CannotMerge("at least one grouping has to stay in the issue", "hashes")
    _check_arrived(conn, [issue.id])
    now = now or utc_now()
    made = [
        _take_out(conn, issue, [one for one in there if one.hash == hash], actor, now)
        for hash in wanted
    ]
    said = "into " + ", ".join(f"issue {number}" for number in made)
    _write_history(conn, issue.id, "unmerged", actor, now, said + _left_behind(issue, "here"))
    audit.note(conn, "issue_unmerged", f"issue {issue.id}", said)
    return made


def follow_up(store: Store) -> None:
    """Move the first batches of events after a merge or unmerge, while the request waits."""
    finish_moves(store, BATCHES_AT_ONCE)


def _checked(conn: Connection, issue_ids: Collection[int]) -> list[Row[Any]]:
    wanted = sorted(set(issue_ids))
    if not 2 <= len(wanted) <= MAX_MERGED:
        raise CannotMerge(f"2 to {MAX_MERGED} different issues are expected", "ids")
    query = select(issues).where(issues.c.id.in_(wanted), issues.c.status.in_(STATUSES))
    found = list(conn.execute(query.order_by(issues.c.id)))
    if missing := set(wanted) - {issue.id for issue in found}:
        raise CannotMerge(f"no issue has the id {min(missing)}", "ids")
    if len({issue.project_id for issue in found}) > 1:
        raise CannotMerge("issues of one project are expected", "ids")
    if any(issue.is_other for issue in found):
        raise CannotMerge("<other> is many errors and cannot be merged", "ids")
    _check_arrived(conn, wanted)
    return found


def _check_arrived(conn: Connection, issue_ids: Collection[int]) -> None:
    """Refuse issues with events that are still moving: counts and events would be separated."""
    if moving := moving_issues(conn, issue_ids):
        raise StillMoving(
            f"events of issue {moving[0]} are still on their way after its last merge or unmerge;"
            " try again in a minute"
        )


def _merge_one(conn: Connection, target_id: int, source: Row[Any], now: datetime) -> None:
    users = merge_users(conn, source.id, target_id)
    for table in (groupings, transitions, feedback):
        moving = update(table).where(table.c.issue_id == source.id)
        conn.execute(moving.values(issue_id=target_id))
    merge_hours(conn, source.id, target_id)
    merge_tags(conn, source.id, target_id)
    conn.execute(issue_similarity.delete().where(issue_similarity.c.issue_id == source.id))
    follow_merge(conn, source.id, target_id)
    _add_counts(conn, target_id, source, users, now)
    leads_on = issues.c.merged_into == source.id
    conn.execute(update(issues).where(leads_on).values(merged_into=target_id))
    emptied = {"times_seen": 0, "users": 0, "title": "", "culprit": "", "status": MERGED}
    emptied |= {"assigned_to": None, **NOT_IGNORED}
    of_it = update(issues).where(issues.c.id == source.id)
    conn.execute(of_it.values(**emptied, merged_into=target_id))
    conn.execute(issue_moves.insert().values(from_issue_id=source.id, to_issue_id=target_id))


def _add_counts(
    conn: Connection, target_id: int, source: Row[Any], users: int, now: datetime
) -> None:
    target = conn.execute(select(issues).where(issues.c.id == target_id)).one()
    latest = max(target, source, key=lambda one: one.last_seen)
    first = min(target, source, key=lambda one: one.first_seen)
    values = {name: getattr(latest, name) for name in ("title", "culprit", "type", "level")}
    values |= {
        "times_seen": target.times_seen + source.times_seen,
        "users": target.users + users,
        "first_seen": first.first_seen,
        "last_seen": latest.last_seen,
        "last_received_at": max(_last_received(target), _last_received(source)),
        "first_release": first.first_release or latest.first_release,
        "last_release": latest.last_release or first.last_release,
        "payload_removed_at": target.payload_removed_at and source.payload_removed_at,
        # Real errors count, also if a person merges a test error into their issue.
        "is_test": target.is_test and source.is_test,
        "assigned_to": target.assigned_to or source.assigned_to,
    }
    values |= values_after_merge(target, source.times_seen, users, now)
    conn.execute(update(issues).where(issues.c.id == target_id).values(**values))


def _last_received(issue: Row[Any]) -> datetime:
    received: datetime = issue.last_received_at or issue.last_seen
    return received


def _take_out(
    conn: Connection, issue: Row[Any], taken: list[Row[Any]], actor: str | None, now: datetime
) -> int:
    row = {
        "project_id": issue.project_id,
        **{name: getattr(issue, name) for name in ("title", "culprit", "type", "level")},
        "status": IssueStatus.UNRESOLVED,
        "is_test": all(is_test_key(one.key) for one in taken),
        **dict.fromkeys(("times_seen", "stored_event_count", "users"), 0),
        "first_seen": min(one.first_seen for one in taken),
        "last_seen": max(one.last_seen for one in taken),
        "last_received_at": issue.last_received_at,
    }
    made = conn.scalar(issues.insert().values(**row).returning(issues.c.id))
    new_id = int(made or 0)
    ids = [one.id for one in taken]
    conn.execute(update(groupings).where(groupings.c.id.in_(ids)).values(issue_id=new_id))
    move = {"from_issue_id": issue.id, "to_issue_id": new_id}
    conn.execute(issue_moves.insert(), [{**move, "grouping_id": number} for number in ids])
    left = select(func.min(groupings.c.first_seen), func.max(groupings.c.last_seen))
    first, last = conn.execute(left.where(groupings.c.issue_id == issue.id)).one()
    bounds = update(issues).where(issues.c.id == issue.id)
    conn.execute(bounds.values(first_seen=first, last_seen=last))
    follow_unmerge(conn, issue.id, new_id)
    said = f"from issue {issue.id}{_left_behind(issue, 'there')}"
    _write_history(conn, new_id, "unmerged", actor, now, said)
    return new_id


def _left_behind(issue: Row[Any], place: str) -> str:
    if issue.times_seen == issue.stored_event_count:
        return ""
    return f"; what events that are no longer stored had added to the counts stays {place}"


def _write_history(
    conn: Connection, issue_id: int, kind: str, actor: str | None, now: datetime, note: str
) -> None:
    row = {"issue_id": issue_id, "at": now, "kind": kind, "actor": actor, "note": note}
    conn.execute(transitions.insert().values(**row))
