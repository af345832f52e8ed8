"""Remembered fixes: the comment that says how an issue was fixed.

A person marks a comment when the issue is resolved. The pages of similar issues and notifications
about new ones show it. An issue has one fix at most; a newer one takes its place. A fix goes with
its comment or issue, and a merge moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from app.issues.followers import when_merged
from app.issues.tables import IssueStatus, issues, remembered_fixes, transitions
from app.store import replaced, upsert

_OF = remembered_fixes.c


def remember_fix(
    conn: Connection, comment_ids: Sequence[int], *, of_issue: int | None = None
) -> list[int]:
    """Remember comments as the fixes of their issues, and return the ids of the issues.

    Issues that are not resolved have no fix; they are left out, and so are rows of the history
    that are no comments.

    :param of_issue: only comments of this issue.
    """
    of = transitions.c
    query = select(of.issue_id, issues.c.project_id, of.id.label("comment_id"))
    query = query.join(issues, issues.c.id == of.issue_id).order_by(of.id)
    if of_issue is not None:
        query = query.where(of.issue_id == of_issue)
    query = query.where(issues.c.status == IssueStatus.RESOLVED)
    rows = conn.execute(query.where(of.id.in_(comment_ids), of.kind == "commented")).all()
    if rows:
        statement = upsert(conn, remembered_fixes, comment_id=replaced)
        conn.execute(statement, [dict(row._mapping) for row in rows])
    return [row.issue_id for row in rows]


def forget_fix(conn: Connection, issue_ids: Sequence[int]) -> list[int]:
    """Forget the fixes of issues, and return the issues that had one. The comments stay."""
    gone = delete(remembered_fixes).where(_OF.issue_id.in_(issue_ids)).returning(_OF.issue_id)
    return sorted(conn.scalars(gone))


def has_fixes(conn: Connection, project_id: int) -> bool:
    """Return whether any fix of a project is remembered."""
    query = select(_OF.issue_id).where(_OF.project_id == project_id).limit(1)
    return conn.execute(query).first() is not None


def fixed_in(issue: Row[Any], resolved: Row[Any] | None) -> str:
    """Return in a few words whether and where an issue is fixed: ``fixed in shop@2.3.1``.

    :param resolved: the history row that resolved it last, if any did.
    """
    if issue.status != IssueStatus.RESOLVED:
        return "fixed once, and open again" if resolved else "still open"
    # An issue that was resolved in the next release gets the release's name when it appears.
    release = (resolved and resolved.release) or issue.resolved_in
    return f"fixed in {release.rpartition('@')[2] or release}" if release else "fixed"


@when_merged
def _move_fix(conn: Connection, source_id: int, target_id: int) -> None:
    """Give the newer fix of two merged issues to the target."""
    query = select(func.max(_OF.comment_id)).where(_OF.issue_id.in_((source_id, target_id)))
    newest = conn.scalar(query)
    if newest is None:
        return
    moved = conn.execute(
        update(remembered_fixes).where(_OF.issue_id == target_id).values(comment_id=newest)
    ).rowcount
    if moved:
        forget_fix(conn, [source_id])
    else:
        of_source = update(remembered_fixes).where(_OF.issue_id == source_id)
        conn.execute(of_source.values(issue_id=target_id))
