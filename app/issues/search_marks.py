"""Marks for the search index: issues whose document has to be made again.

Events moved to or from such an issue, or were removed. The index is written later, by a background
task (:mod:`app.search.indexing`).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from app.issues.tables import stale_issues
from app.store import added, upsert

__all__ = ["mark_stale", "stale_issues"]


def mark_stale(conn: Connection, issue_ids: Collection[int]) -> None:
    """Mark issues, so that their documents in the search index are made again."""
    rows = [{"issue_id": issue_id, "marks": 1} for issue_id in sorted(set(issue_ids))]
    if rows:
        conn.execute(upsert(conn, stale_issues, marks=added), rows)
