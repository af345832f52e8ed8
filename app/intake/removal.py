"""Removing envelopes: their events, and what counters say of them, go in the same transaction.

The one place where rows of envelopes are deleted, so that no counter is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, select, update

from app.delivery import books
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.issues.tables import issues

# What is not waiting for anything any more.
SETTLED = ("local", "delivered", "discarded")

_FEWER_EVENTS = (
    update(issues)
    .where(issues.c.id == bindparam("of"))
    .values(stored_event_count=issues.c.stored_event_count - bindparam("gone"))
)


def remove(conn: Connection, envelope_ids: Sequence[int]) -> list[int]:
    """Remove settled envelopes with their events; what is not settled any more stays.

    :return: the issues that their events were of.
    """
    settled = select(envelopes.c.id).where(envelopes.c.id.in_(envelope_ids))
    ids = list(conn.scalars(settled.where(envelopes.c.state.in_(SETTLED))))
    if not ids:
        return []
    touched = select(events.c.issue_id, func.count()).where(events.c.envelope_id.in_(ids))
    of_issues = conn.execute(touched.group_by(events.c.issue_id)).all()
    if of_issues:
        conn.execute(_FEWER_EVENTS, [{"of": row[0], "gone": row[1]} for row in of_issues])
    conn.execute(delete(events).where(events.c.envelope_id.in_(ids)))
    delete_rows(conn, ids)
    return [issue_id for issue_id, _ in of_issues]


def delete_rows(conn: Connection, envelope_ids: Sequence[int]) -> int:
    """Delete settled envelopes whose events are gone already, and return how many there were."""
    settled = envelopes.c.id.in_(envelope_ids), envelopes.c.state.in_(SETTLED)
    returned = delete(envelopes).where(*settled)
    gone = conn.execute(returned.returning(envelopes.c.state, *project_bytes.RETURNED)).all()
    change = project_bytes.Change()
    for _, project_id, taken, attached in gone:
        change.count(project_id, -taken, -attached)
    project_bytes.add(conn, change)
    books.add(conn, Counter(books.pruned(row[0]) for row in gone))
    return len(gone)
