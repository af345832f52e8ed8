"""Limit the history of an issue, which grows whenever it is resolved and regresses."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, func, select

from app.issues.tables import transitions
from app.store import Store, in_batches

# The number of newest rows per issue that are kept, besides its first row and comments.
MAX_HISTORY = 1000
# Rows that are removed in one transaction.
BATCH_SIZE = 500

_COLUMNS = transitions.c


def bound_history(store: Store) -> None:
    """Delete all but the newest history rows of each issue; comments and the first row stay."""
    many = select(_COLUMNS.issue_id).group_by(_COLUMNS.issue_id)
    with store.read() as conn:
        found = list(conn.scalars(many.having(func.count() > MAX_HISTORY)))
    for issue_id in found:
        for ids in _beyond(store, issue_id):
            with store.write(durable=False) as conn:
                conn.execute(delete(transitions).where(_COLUMNS.id.in_(ids)))


def _beyond(store: Store, issue_id: int) -> Iterator[list[int]]:
    """Return the ids of an issue's surplus rows, in batches."""
    rows = select(_COLUMNS.id).where(
        _COLUMNS.issue_id == issue_id,
        _COLUMNS.kind != "commented",
        # A row that alerts still have to process stays until they have done so.
        _COLUMNS.alerts_due.is_(None),
    )
    with store.read() as conn:
        ids = list(conn.scalars(rows.order_by(_COLUMNS.id.desc()).offset(MAX_HISTORY)))
        first = conn.scalar(select(func.min(_COLUMNS.id)).where(_COLUMNS.issue_id == issue_id))
    going = [number for number in ids if number != first]
    return in_batches(going, BATCH_SIZE)
