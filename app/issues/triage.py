"""Resolve, ignore, reopen, comment on and delete issues, one or many at once.

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

from sqlalchemy import ColumnElement, Connection, func, literal, null, or_, select, text, update

from app.issues.filter import IssueFilter
from app.issues.fixed_in import Resolution, is_next, is_of_same_package
from app.issues.groupings import delete_groupings
from app.issues.queries import find_issue
from app.issues.tables import AWAITS_RELEASE, DELETED, STATUSES, IssueStatus, issues, transitions
from app.protocol.event import clean_text
from app.stats.releases import Release
from app.stats.tables import releases
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
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Ignore issues and return the ids that changed; their events are still kept and counted."""
    return set_status(conn, issue_ids, IssueStatus.IGNORED, actor, now)


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
) -> list[int]:
    """Set the status of issues, and return the ids that changed.

    :param status: one of :data:`STATUSES`.
    :param actor: the name of a user or token, ``None`` for the service.
    :param fix: the release in which they are resolved. Issues of projects without such a release
        are left out.
    :return: the sorted ids of issues that had another status, or were resolved in another way.
        Unknown ids are left out.
    """
    columns = issues.c
    others = [other for other in STATUSES if other != status]
    after, version = _release_of(fix) if status == IssueStatus.RESOLVED else (null(), null())
    is_other = or_(columns.status.in_(others), columns.resolved_after.is_distinct_from(after))
    changing = update(issues).where(*_among(issue_ids), is_other)
    if fix.version is not None:
        changing = changing.where(after.is_not(None))
    # After any decision of a person, the issue no longer counts as regressed.
    values = {"status": status, "regressed": False, "resolved_after": after, "resolved_in": version}
    values["resolved_at"] = (now or utc_now()) if status == IssueStatus.RESOLVED else None
    found = conn.execute(changing.values(**values).returning(columns.id, columns.resolved_in))
    changed = sorted((row.id, row.resolved_in) for row in found)
    note = IN_NEXT_RELEASE if fix.in_next else None
    _write(conn, changed, KINDS[status], actor, now, note)
    return [issue_id for issue_id, _ in changed]


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
        last = select(func.coalesce(func.max(releases.c.id), 0)).where(of_project)
        return last.scalar_subquery(), null()
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
    if find_issue(conn, issue_id) is None:
        return None
    return _write(conn, [(issue_id, None)], "commented", actor, now, clean_text(text)[:MAX_NOTE])[0]


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
