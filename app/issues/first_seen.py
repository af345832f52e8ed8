"""Correct the time when an issue was first seen: a late event may have happened earlier."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from app.issues.tables import transitions
from app.protocol.event import Event


def move_first_seen(conn: Connection, earlier: Mapping[int, Event]) -> None:
    """Change the ``first_seen`` row in the history of issues to an earlier event.

    While alerts have not processed the row, its event stays: alerts use the event that made the
    issue. Only the time changes then.

    :param earlier: an event by issue id; it happened before the issue was first seen so far.
    """
    of = transitions.c
    for issue_id, event in earlier.items():
        # A merged issue has a row for each of its former issues. Its page shows the earliest.
        of_issue = select(of.id, of.at, of.alerts_due).where(of.issue_id == issue_id)
        rows = of_issue.where(of.kind == "first_seen").order_by(of.at, of.id).limit(1)
        row = conn.execute(rows).first()
        if row is None or row.at <= event.timestamp:
            continue
        release = event.release and event.release[:250]
        its_event = {} if row.alerts_due else {"event_id": event.event_id, "release": release}
        moving = update(transitions).where(of.id == row.id)
        conn.execute(moving.values(at=event.timestamp, **its_event))
