"""Register functions of other packages that follow changes of issues: merged, unmerged, resolved.

The other packages depend on this one, and this one does not know their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

# Called within the transaction with two issue ids: the source and the target of the move.
Follow = Callable[[Connection, int, int], None]

# Called within the transaction with the issues, who resolved or deleted them, and when.
FollowEnd = Callable[[Connection, Sequence[int], str | None, datetime], None]

_merged: list[Follow] = []
_taken_out: list[Follow] = []
_ended: list[FollowEnd] = []


def when_merged(follow: Follow) -> Follow:
    """Register a function to be called for each issue that is merged into another one."""
    _merged.append(follow)
    return follow


def when_taken_out(follow: Follow) -> Follow:
    """Register a function to be called for each issue that is made from another one's grouping."""
    _taken_out.append(follow)
    return follow


def when_ended(follow: FollowEnd) -> FollowEnd:
    """Register a function to be called with issues that are resolved or deleted."""
    _ended.append(follow)
    return follow


def follow_end(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime
) -> None:
    """Call the registered functions with issues that are resolved or deleted."""
    for follow in _ended if issue_ids else ():
        follow(conn, issue_ids, actor, now)


def follow_merge(conn: Connection, source_id: int, target_id: int) -> None:
    """Call the registered functions for an issue that is merged into another one."""
    for follow in _merged:
        follow(conn, source_id, target_id)


def follow_unmerge(conn: Connection, source_id: int, made_id: int) -> None:
    """Call the registered functions for a new issue that is made from another one's grouping."""
    for follow in _taken_out:
        follow(conn, source_id, made_id)
