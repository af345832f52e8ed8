"""New issues: the rows of issues for groupings that are not known yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.issues.groupings import Key, Known, make_groupings
from app.issues.occurrence import Occurrence, ignored_by
from app.issues.overflow import other_row
from app.issues.tables import IssueStatus, issues
from app.protocol.test_error import is_test_error
from app.store import DriverStatement


def make_issues(
    conn: Connection, groups: list[list[Occurrence]], now: datetime
) -> dict[Key, Known]:
    """Make an issue with its grouping for each group of events, and return the groupings by key.

    :param groups: the events of each unknown key.
    """
    if not groups:
        return {}
    rows = [_row(group, now) for group in groups]
    made = list(zip(groups, rows, _ISSUE_INSERT.fetch_each(conn, rows), strict=True))
    ids = make_groupings(
        conn, [(group[0].key, group[0].grouping, issue_id) for group, _, (issue_id,) in made], now
    )
    return {
        key: Known(ids[key], issue_id, row["status"], None, None, None, False, is_new=True)
        for group, row, (issue_id,) in made
        for key in [group[0].key]
    }


def _row(group: list[Occurrence], now: datetime) -> dict[str, Any]:
    latest = group[-1].event
    seen = [occurrence.event.timestamp for occurrence in group]
    release = latest.release and latest.release[:250]
    return {
        "project_id": group[-1].project_id,
        "title": group[-1].title,
        "culprit": group[-1].culprit,
        "type": latest.type[:200],
        "level": latest.level,
        "is_other": False,
        "is_test": is_test_error(latest, group[-1].grouping.key),
        # Used for new issues only: a rule must not hide an issue that a person may be looking at.
        "status": IssueStatus.IGNORED if ignored_by(group) else IssueStatus.UNRESOLVED,
        "times_seen": len(group),
        "stored_event_count": len(group),
        "users": 0,
        "first_seen": min(seen),
        "last_seen": max(seen),
        "last_received_at": now,
        "first_release": release,
        "last_release": release,
        **(other_row() if group[-1].is_other else {}),
    }


_ISSUE_INSERT = DriverStatement(lambda dialect: issues.insert().returning(issues.c.id))
