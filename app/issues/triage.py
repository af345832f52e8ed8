"""What people do with issues: resolve, ignore, reopen, comment, delete; one or many at once.

Each change is a row in the issue's history, in the transaction that makes it, with who made it.
Doing again what is done already changes nothing and writes no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, cast, func, literal, select, update

from app.db import Store, utc_now
from app.issues.queries import IssueFilter, find_issue
from app.issues.tables import DELETED, STATUSES, issues, transitions
from app.protocol.event import clean_text

MAX_NOTE = 10_000
# Issues that one transaction changes: some 20 ms of the store's only writer.
BITE = 500

# What a status is reached by.
KINDS = {"unresolved": "reopened", "resolved": "resolved", "ignored": "ignored"}


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
) -> list[int]:
    """Bring issues to a status.

    :param status: one of :data:`STATUSES`.
    :param actor: a user's or a token's name, ``None`` for the service.
    :return: ids of those that had another, in order; unknown ids are left out.
    """
    columns = issues.c
    others = [other for other in STATUSES if other != status]
    changed = sorted(
        conn.scalars(
            update(issues)
            .where(columns.id.in_(issue_ids), columns.status.in_(others))
            # Whatever a person decided, the issue is not what came back by itself any more.
            .values(status=status, regressed=False)
            .returning(columns.id)
        )
    )
    _write(conn, changed, KINDS[status], actor, now)
    return changed


def comment(
    conn: Connection, issue_id: int, text: str, actor: str | None, now: datetime | None = None
) -> int | None:
    """Write a comment and return its id; ``None`` when the issue is not there.

    :param text: at most MAX_NOTE characters, the rest is cut.
    """
    if find_issue(conn, issue_id) is None:
        return None
    return _write(conn, [issue_id], "commented", actor, now, clean_text(text)[:MAX_NOTE])[0]


def delete(conn: Connection, issue_ids: Sequence[int]) -> list[int]:
    """Delete issues and return those that were there.

    They are out of every list at once, and an event that comes now makes a new issue. Their rows
    are removed by :func:`app.retention.bury`, in bites, since one may have any number of events.
    """
    columns = issues.c
    statement = (
        update(issues)
        .where(columns.id.in_(issue_ids), columns.status.in_(STATUSES))
        .values(status=DELETED, grouping_hash=literal("deleted:") + cast(columns.id, String))
    )
    return sorted(conn.scalars(statement.returning(columns.id)))


def in_bites(store: Store, filter: IssueFilter, highest: int) -> Iterator[list[int]]:
    """Yield the ids that a filter matches, in bites to be changed in a transaction each.

    :param highest: ids beyond it came after the person looked, and stay as they are.
    """
    after = 0
    while True:
        query = filter.apply(select(issues.c.id)).where(
            issues.c.status.in_([filter.status] if filter.status else STATUSES),
            issues.c.id > after,
            issues.c.id <= highest,
        )
        with store.read() as conn:
            ids = list(conn.scalars(query.order_by(issues.c.id).limit(BITE)))
        if not ids:
            return
        yield ids
        after = ids[-1]


def highest_id(conn: Connection) -> int:
    """Return the id of the newest issue, 0 without any."""
    return int(conn.execute(select(func.coalesce(func.max(issues.c.id), 0))).scalar_one())


def _write(
    conn: Connection,
    issue_ids: list[int],
    kind: str,
    actor: str | None,
    now: datetime | None,
    note: str | None = None,
) -> list[int]:
    rows: list[dict[str, Any]] = [
        {"issue_id": issue_id, "at": now or utc_now(), "kind": kind, "actor": actor, "note": note}
        for issue_id in issue_ids
    ]
    if not rows:
        return []
    return list(conn.scalars(transitions.insert().returning(transitions.c.id), rows))
