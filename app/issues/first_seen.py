"""When an issue was seen first, in its history: an event that comes late may be the earlier one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from app.issues.tables import transitions
from app.protocol.event import Event


def move_first_seen(conn: Connection, earlier: Mapping[int, Event]) -> None:
    """Date the row that says an issue was seen first back to an event of before it.

    Alerts that have not looked at the row go by the event that made the issue, which stays then.

    :param earlier: by issue; each happened before its issue was seen first, so far.
    """
    of = transitions.c
    for issue_id, event in earlier.items():
        # A merged issue has a row for each that was merged; the earliest is what its page shows.
        of_issue = select(of.id, of.at, of.alerts_due).where(of.issue_id == issue_id)
        rows = of_issue.where(of.kind == "first_seen").order_by(of.at, of.id).limit(1)
        row = conn.execute(rows).first()
        if row is None or row.at <= event.timestamp:
            continue
        release = event.release and event.release[:250]
        its_event = {} if row.alerts_due else {"event_id": event.event_id, "release": release}
        moving = update(transitions).where(of.id == row.id)
        conn.execute(moving.values(at=event.timestamp, **its_event))
