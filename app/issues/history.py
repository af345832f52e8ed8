"""The history of an issue is bounded, however often it was resolved and came back."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, func, select

from app.issues.tables import transitions
from app.store import Store, in_batches

# Rows of an issue that are kept beside its first one and comments: the newest.
MAX_HISTORY = 1000
# Rows that a transaction removes.
BATCH_SIZE = 500

_COLUMNS = transitions.c


def bound_history(store: Store) -> None:
    """Remove the rows of each issue beyond its newest; comments and the first one stay."""
    many = select(_COLUMNS.issue_id).group_by(_COLUMNS.issue_id)
    with store.read() as conn:
        found = list(conn.scalars(many.having(func.count() > MAX_HISTORY)))
    for issue_id in found:
        for ids in _beyond(store, issue_id):
            with store.write(durable=False) as conn:
                conn.execute(delete(transitions).where(_COLUMNS.id.in_(ids)))


def _beyond(store: Store, issue_id: int) -> Iterator[list[int]]:
    """Return in batches which rows of an issue are too many."""
    rows = select(_COLUMNS.id).where(
        _COLUMNS.issue_id == issue_id,
        _COLUMNS.kind != "commented",
        # What alerts still have to look at stays until they have.
        _COLUMNS.alerts_due.is_(None),
    )
    with store.read() as conn:
        ids = list(conn.scalars(rows.order_by(_COLUMNS.id.desc()).offset(MAX_HISTORY)))
        first = conn.scalar(select(func.min(_COLUMNS.id)).where(_COLUMNS.issue_id == issue_id))
    going = [number for number in ids if number != first]
    return in_batches(going, BATCH_SIZE)
