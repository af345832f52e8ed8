"""What people do with issues: resolve, ignore, reopen, comment, delete; one or many at once.

Each change is a row in the issue's history, in the transaction that makes it, with who made it.
Doing again what is done already changes nothing and writes no row.

An issue is resolved plainly, and then comes back with whatever event; or in a release, and then
only with an event of that release or of a newer one (:mod:`app.issues.fixed_in`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal, null, or_, select, text, update

from app.issues.fixed_in import Resolution, is_next, is_of_same_package
from app.issues.groupings import delete_groupings
from app.issues.queries import IssueFilter, find_issue
from app.issues.tables import AWAITS_RELEASE, DELETED, STATUSES, issues, transitions
from app.protocol.event import clean_text
from app.stats.releases import Release
from app.stats.tables import releases
from app.store import Store, utc_now
from app.store.paging import hidden

MAX_NOTE = 10_000
# Issues that one transaction changes: some 20 ms of the store's only writer.
BATCH_SIZE = 500

# What a status is reached by.
KINDS = {"unresolved": "reopened", "resolved": "resolved", "ignored": "ignored"}
# The note in the history of what is resolved in a release that there is not yet.
IN_NEXT_RELEASE = "in the next release"


class Fix(NamedTuple):
    """In which release an issue is resolved; by default in none that matters.

    :param version: of a release that the issue's project has.
    """

    in_next: bool = False
    version: str | None = None


PLAINLY = Fix()


def resolve(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Resolve issues and return those that were not; one that recurs will be regressed."""
    return set_status(conn, issue_ids, "resolved", actor, now)


def ignore(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Ignore issues and return those that were not; their events are kept and counted."""
    return set_status(conn, issue_ids, "ignored", actor, now)


def reopen(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime | None = None
) -> list[int]:
    """Open issues again and return those that were resolved or ignored."""
    return set_status(conn, issue_ids, "unresolved", actor, now)


def set_status(
    conn: Connection,
    issue_ids: Sequence[int],
    status: str,
    actor: str | None,
    now: datetime | None = None,
    fix: Fix = PLAINLY,
) -> list[int]:
    """Bring issues to a status.

    :param status: one of :data:`STATUSES`.
    :param actor: a user's or a token's name, ``None`` for the service.
    :param fix: where they are resolved. Issues of projects that have no such release are left out.
    :return: ids of those that had another, or were resolved in another way, in order; unknown ids
        are left out.
    """
    columns = issues.c
    others = [other for other in STATUSES if other != status]
    after, version = _release_of(fix) if status == "resolved" else (null(), null())
    is_other = or_(columns.status.in_(others), columns.resolved_after.is_distinct_from(after))
    changing = update(issues).where(*_among(issue_ids), is_other)
    if fix.version is not None:
        changing = changing.where(after.is_not(None))
    # Whatever a person decided, the issue is not what came back by itself any more.
    values = {"status": status, "regressed": False, "resolved_after": after, "resolved_in": version}
    values["resolved_at"] = (now or utc_now()) if status == "resolved" else None
    found = conn.execute(changing.values(**values).returning(columns.id, columns.resolved_in))
    changed = sorted((row.id, row.resolved_in) for row in found)
    note = IN_NEXT_RELEASE if fix.in_next else None
    _write(conn, changed, KINDS[status], actor, now, note)
    return [issue_id for issue_id, _ in changed]


def resolve_awaiting(conn: Connection, made: Mapping[Release, int]) -> None:
    """Name the release in the issues that are resolved in the next one, as these just appeared.

    Of another package, or a hotfix of an old branch, it is not the one that they wait for.

    :param made: new releases, the oldest first.
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
    """Return what an issue remembers of a fix: the last release before it, and its version."""
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
    """Write a comment and return its id; ``None`` when the issue is not there.

    :param text: at most MAX_NOTE characters, the rest is cut.
    """
    if find_issue(conn, issue_id) is None:
        return None
    return _write(conn, [(issue_id, None)], "commented", actor, now, clean_text(text)[:MAX_NOTE])[0]


def delete(conn: Connection, issue_ids: Sequence[int]) -> list[int]:
    """Delete issues and return those that were there.

    They are out of every list at once, and an event that comes now makes a new issue. Their rows
    are removed by :func:`app.intake.retention.purge_deleted`, in batches: one may have any number
    of events.
    """
    columns = issues.c
    statement = update(issues).where(*_among(issue_ids)).values(status=DELETED)
    # What they were merged from goes, too: its events may not all have arrived.
    conn.execute(update(issues).where(columns.merged_into.in_(issue_ids)).values(status=DELETED))
    gone = sorted(conn.scalars(statement.returning(columns.id)))
    delete_groupings(conn, gone)
    return gone


def _among(issue_ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that an issue is one of these, and not deleted.

    The status is hidden: for more than some ten ids SQLite goes along an index of it instead, past
    every issue there is, which held the writer for 160 ms of CPU among 100,000.
    """
    return issues.c.id.in_(issue_ids), hidden(issues.c.status).in_(STATUSES)


def in_batches(store: Store, filter: IssueFilter, highest: int) -> Iterator[list[int]]:
    """Yield the ids that a filter matches, in batches to be changed in a transaction each.

    :param highest: ids beyond it came after the person looked, and stay as they are.
    """
    after = 0
    with store.read() as conn:
        filter = filter.resolved(conn)
    while True:
        query = filter.apply(select(issues.c.id)).where(
            issues.c.status.in_([filter.status] if filter.status else STATUSES),
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
    """Return the id of the newest issue, 0 without any."""
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
