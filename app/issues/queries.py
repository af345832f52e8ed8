"""Reading issues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from app.issues.tables import issues

STATUSES = ("unresolved", "resolved", "ignored")


def list_issues(
    conn: Connection,
    *,
    status: str | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return issue rows, the one seen last first.

    :param before: ``(last_seen, id)`` of the row after which the page goes on.
    """
    query = select(issues)
    if status is not None:
        query = query.where(issues.c.status == status)
    if before is not None:
        last_seen, issue_id = before
        query = query.where(
            or_(
                issues.c.last_seen < last_seen,
                and_(issues.c.last_seen == last_seen, issues.c.id < issue_id),
            )
        )
    query = query.order_by(issues.c.last_seen.desc(), issues.c.id.desc()).limit(limit)
    return list(conn.execute(query))


def find_issue(conn: Connection, issue_id: int) -> Row[Any] | None:
    """Return one issue, ``None`` when it is not there."""
    return conn.execute(select(issues).where(issues.c.id == issue_id)).first()


def count_issues(conn: Connection, status: str | None = None) -> int:
    """Return how many issues there are."""
    query = select(func.count()).select_from(issues)
    if status is not None:
        query = query.where(issues.c.status == status)
    return int(conn.execute(query).scalar_one())
