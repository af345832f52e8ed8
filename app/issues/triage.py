"""Resolve, ignore, reopen, assign, link, comment on and delete issues, one or many at once.

Each change writes a row to the issue's history, with the actor, in the same transaction. A repeated
change has no effect and writes no row.

If an issue is resolved without a release, any later event reopens it. If it is resolved in a
release, only an event of that release or of a newer release reopens it
(:mod:`app.issues.fixed_in`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    func,
    literal,
    null,
    or_,
    select,
    text,
    update,
)

from app.accounts import audit
from app.issues.filter import IssueFilter
from app.issues.fixed_in import Resolution, is_next, is_of_same_package
from app.issues.followers import follow_end
from app.issues.groupings import delete_groupings
from app.issues.ignore_until import IgnoreUntil, words_of
from app.issues.ignoring import NOT_IGNORED, ignored_values, newest_release
from app.issues.queries import find_issue
from app.issues.tables import AWAITS_RELEASE, DELETED, STATUSES, IssueStatus, issues, transitions
from app.protocol.event import clean_text
from app.stats.releases import Release
from app.stats.tables import releases
from app.stats.users import MAX_USERS
from app.store import Store, utc_now
from app.store.paging import hidden

MAX_NOTE = 10_000
# Issues that one transaction changes: this holds the store's only writer for about 20 ms.
BATCH_SIZE = 500

# The kind of the history row for each status.
KINDS: dict[str, str] = {
    IssueStatus.UNRESOLVED: "reopened",
    IssueStatus.RESOLVED: "resolved",
    IssueStatus.IGNORED: "ignored",
}
# Issues of one status differ in these: how they were resolved, and until when they are ignored.
_WAYS = ("resolved_after", "ignore_until")
# The note in the history of an issue that is resolved in a release that does not exist yet.
IN_NEXT_RELEASE = "in the next release"


class Fix(NamedTuple):
    """The release in which an issue is resolved; by default, without a release.

    :param in_next: the issue is resolved in the next release.
    :param version: the version of an existing release of the issue's project.
    """

    in_next: bool = False
    version: str | None = None


PLAINLY = Fix()


def resolve(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Resolve issues and return the ids that changed; a resolved issue that recurs regresses."""
    return set_status(conn, issue_ids, IssueStatus.RESOLVED, actor, now)


def ignore(
    conn: Connection,
    issue_ids: Sequence[int],
    actor: str | None,
    now: datetime | None = None,
    until: IgnoreUntil | None = None,
) -> list[int]:
    """Ignore issues and return the ids that changed; their events are still kept and counted."""
    return set_status(conn, issue_ids, IssueStatus.IGNORED, actor, now, until=until)


def reopen(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Reopen issues and return the ids of those that were resolved or ignored."""
    return set_status(conn, issue_ids, IssueStatus.UNRESOLVED, actor, now)


def set_status(
    conn: Connection,
    issue_ids: Sequence[int],
    status: str,
    actor: str | None,
    now: datetime | None = None,
    fix: Fix = PLAINLY,
    until: IgnoreUntil | None = None,
) -> list[int]:
    """Set the status of issues, and return the ids that changed.

    :param status: one of :data:`STATUSES`.
    :param actor: the name of a user or token, ``None`` for the service.
    :param fix: the release in which they are resolved. Issues of projects without such a release
        are left out.
    :param until: what ends the ignoring; ``None`` if nothing does. Issues whose users are too many
        to be counted that far are left out.
    :return: the sorted ids of issues that had another status, or were resolved or ignored in
        another way. Unknown ids are left out.
    """
    columns, now = issues.c, now or utc_now()
    values, note = _values_of(status, actor, now, fix, until)
    differs = (columns[name].is_distinct_from(values[name]) for name in _WAYS)
    others = [other for other in STATUSES if other != status]
    is_other = or_(columns.status.in_(others), *differs)
    changing = update(issues).where(*_among(issue_ids), is_other, *_possible(values, fix, until))
    found = conn.execute(changing.values(**values).returning(columns.id, columns.resolved_in))
    changed = sorted((row.id, row.resolved_in) for row in found)
    _write(conn, changed, KINDS[status], actor, now, note)
    ids = [issue_id for issue_id, _ in changed]
    if status == IssueStatus.RESOLVED:
        follow_end(conn, ids, actor, now)
    return ids


def _values_of(
    status: str, actor: str | None, now: datetime, fix: Fix, until: IgnoreUntil | None
) -> tuple[dict[str, Any], str | None]:
    """Return the values of issues that get a status, and the note for their history."""
    # After any decision of a person, the issue no longer counts as regressed.
    values = {"status": status, "regressed": False, "resolved_at": None, **NOT_IGNORED}
    values |= {"resolved_after": null(), "resolved_in": null()}
    if status == IssueStatus.RESOLVED:
        after, version = _release_of(fix)
        values |= {"resolved_after": after, "resolved_in": version, "resolved_at": now}
        return values, IN_NEXT_RELEASE if fix.in_next else None
    if status == IssueStatus.IGNORED:
        values |= ignored_values(actor, now, until)
        return values, words_of(until, now) if until else None
    return values, None


def _possible(
    values: Mapping[str, Any], fix: Fix, until: IgnoreUntil | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for issues that can be resolved or ignored like this."""
    if fix.version is not None:
        yield values["resolved_after"].is_not(None)
    if until and until.users and not until.window_minutes:
        yield issues.c.users + until.users <= MAX_USERS


def has_too_many_users(issue: Row[Any], until: IgnoreUntil | None) -> bool:
    """Return whether an issue cannot be ignored until it has so many more users.

    Above MAX_USERS, a user who comes back on another day is counted again.
    """
    is_counted = until is not None and until.users and not until.window_minutes
    return bool(is_counted and until and issue.users + until.users > MAX_USERS)


def assign(
    conn: Connection,
    issue_ids: Sequence[int],
    username: str | None,
    actor: str | None,
    now: datetime | None = None,
) -> list[int]:
    """Assign issues to an existing user or to nobody, and return the ids that changed."""
    columns = issues.c
    is_other = columns.assigned_to.is_distinct_from(username)
    changing = update(issues).where(*_among(issue_ids), is_other).values(assigned_to=username)
    changed = sorted(conn.scalars(changing.returning(columns.id)))
    rows: list[tuple[int, str | None]] = [(issue_id, None) for issue_id in changed]
    _write(conn, rows, "assigned", actor, now, f"to {username or 'nobody'}")
    return changed


def link(
    conn: Connection,
    issue_ids: Sequence[int],
    url: str | None,
    actor: str | None,
    now: datetime | None = None,
) -> list[int]:
    """Link issues to an issue of a tracker, or to none, and return the ids that changed."""
    columns = issues.c
    is_other = columns.tracker_url.is_distinct_from(url)
    changing = update(issues).where(*_among(issue_ids), is_other).values(tracker_url=url)
    changed = sorted(conn.scalars(changing.returning(columns.id)))
    _write(conn, [(id, None) for id in changed], "linked", actor, now, f"to {url or 'nothing'}")
    return changed


def resolve_awaiting(conn: Connection, made: Mapping[Release, int]) -> None:
    """Set the release of issues that are resolved in the next release, when new releases appear.

    A release of another package, or a hotfix of an old branch, is not the next release of an issue.

    :param made: the new releases, oldest first.
    """
    columns = issues.c
    by_project: dict[int, list[str]] = {}
    for project_id, version in made:
        by_project.setdefault(project_id, []).append(version)
    for project_id, versions in by_project.items():
        waiting = columns.project_id == project_id, text(AWAITS_RELEASE)
        alike = select(columns.resolved_after, columns.last_release).where(*waiting).distinct()
        for after, last_release in conn.execute(alike).all():
            fix = Resolution(project_id, after, None)
            following = (
                version
                for version in versions
                if is_of_same_package(version, last_release) and is_next(conn, fix, version)
            )
            for version in islice(following, 1):
                is_alike = (
                    columns.resolved_after == after,
                    columns.last_release.is_not_distinct_from(last_release),
                )
                named = update(issues).where(*waiting, *is_alike).values(resolved_in=version)
                conn.execute(named)


def _release_of(fix: Fix) -> tuple[Any, Any]:
    """Return the values of ``resolved_after`` and ``resolved_in`` for a fix, as SQL expressions."""
    of_project = releases.c.project_id == issues.c.project_id
    newest = select(releases.c.version).where(of_project).order_by(releases.c.id.desc()).limit(1)
    if fix.in_next:
        return newest_release(), null()
    if fix.version is not None:
        before = select(releases.c.id - 1).where(of_project, releases.c.version == fix.version)
        return before.scalar_subquery(), literal(fix.version)
    return null(), newest.scalar_subquery()


def comment(
    conn: Connection, issue_id: int, text: str, actor: str | None, now: datetime | None = None
) -> int | None:
    """Store a comment and return its id; ``None`` when the issue does not exist.

    :param text: the comment; it is cut after MAX_NOTE characters.
    """
    found = find_issue(conn, issue_id)
    return comment_all(conn, [found.id], text, actor, now)[found.id] if found else None


def comment_all(
    conn: Connection,
    issue_ids: Sequence[int],
    text: str,
    actor: str | None,
    now: datetime | None = None,
) -> dict[int, int]:
    """Store the same comment on all of the issues that exist.

    :return: the id of each comment by the id of its issue.
    """
    there = sorted(conn.scalars(select(issues.c.id).where(*_among(issue_ids))))
    rows: list[tuple[int, str | None]] = [(issue_id, None) for issue_id in there]
    ids = _write(conn, rows, "commented", actor, now, clean_text(text)[:MAX_NOTE])
    return dict(zip(there, ids, strict=True))


def delete(conn: Connection, issue_ids: Sequence[int]) -> list[int]:
    """Delete issues and return the ids of those that existed.

    They disappear from every list at once, and a later event makes a new issue.
    :func:`app.intake.retention.purge_deleted` removes their rows in batches, because an issue may
    have any number of events.
    """
    columns = issues.c
    statement = update(issues).where(*_among(issue_ids)).values(status=DELETED)
    # Issues that were merged into them are deleted, too: some of their events may not have arrived.
    conn.execute(update(issues).where(columns.merged_into.in_(issue_ids)).values(status=DELETED))
    gone = sorted(conn.scalars(statement.returning(columns.id)))
    delete_groupings(conn, gone)
    if gone:
        shown = ", ".join(map(str, gone[:20]))
        rest = f" and {len(gone) - 20} more" if len(gone) > 20 else ""
        audit.note(conn, "issues_deleted", f"issues: {len(gone)}", f"{shown}{rest}")
    follow_end(conn, gone, None, utc_now())
    return gone


def _among(issue_ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for these issues, without deleted ones.

    The status is hidden from the query planner. For more than about ten ids, SQLite would use an
    index of the status instead, and read every issue. With 100,000 issues, this held the writer
    for 160 ms of CPU.
    """
    return issues.c.id.in_(issue_ids), hidden(issues.c.status).in_(STATUSES)


def in_batches(store: Store, filter: IssueFilter, highest: int) -> Iterator[list[int]]:
    """Yield the ids of the issues that match a filter, in batches for one transaction each.

    :param highest: the highest id to return. Issues with higher ids were made after the person
        loaded the list, and are left out.
    """
    after = 0
    with store.read() as conn:
        filter = filter.resolved(conn)
    while True:
        query = filter.apply(select(issues.c.id)).where(
            issues.c.status.in_(filter.statuses),
            issues.c.id > after,
            issues.c.id <= highest,
        )
        with store.read() as conn:
            ids = list(conn.scalars(query.order_by(issues.c.id).limit(BATCH_SIZE)))
        if not ids:
            return
        yield ids
        after = ids[-1]


def highest_id(conn: Connection) -> int:
    """Return the id of the newest issue, 0 if there are no issues."""
    return int(conn.execute(select(func.coalesce(func.max(issues.c.id), 0))).scalar_one())


def _write(
    conn: Connection,
    changed: list[tuple[int, str | None]],
    kind: str,
    actor: str | None,
    now: datetime | None,
    note: str | None = None,
) -> list[int]:
    at = now or utc_now()
    shared = {"at": at, "kind": kind, "actor": actor, "note": note}
    rows: list[dict[str, Any]] = [
        {"issue_id": issue_id, "release": release, **shared} for issue_id, release in changed
    ]
    if not rows:
        return []
    return list(conn.scalars(transitions.insert().returning(transitions.c.id), rows))
