"""Work in batches, so that no other writer waits long for the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, delete, select

from app.store.database import Store

T = TypeVar("T")
# Rows that one transaction removes. They hold the writer for about 20 ms.
BATCH_ROWS = 1000


def in_batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield all items in order, ``size`` at a time."""
    return (list(items[first : first + size]) for first in range(0, len(items), size))


def first_within(rows: Sequence[T], limit: int, size_of: Callable[[T], int]) -> list[T]:
    """Return the first rows, at least one, whose sizes add up to ``limit`` at most."""
    size = 0
    for count, row in enumerate(rows):
        size += size_of(row)
        if count and size > limit:
            return list(rows[:count])
    return list(rows)


def delete_in_batches(store: Store, table: Table, old: Any, size: int = BATCH_ROWS) -> None:
    """Delete the rows that match a condition, with one transaction for each batch.

    The rows are chosen in a read, because a condition without an index scans the whole table.

    :param old: the condition. It must not be an ``IN`` with a list, because it is evaluated again
        for each row.
    :param size: how many rows one transaction deletes.
    """
    key = tuple(table.primary_key)
    some = select(*(column.label(f"key_{column.name}") for column in key)).where(old).limit(size)
    is_it = (column == bindparam(f"key_{column.name}", type_=column.type) for column in key)
    # Check the condition again: a row may have been written since it was chosen.
    removal = delete(table).where(*is_it, old)
    while True:
        with store.read() as conn:
            rows = [dict(row._mapping) for row in conn.execute(some)]
        gone = 0
        if rows:
            with store.write(durable=False) as conn:
                gone = conn.execute(removal, rows).rowcount
        # If no row was deleted, another query would find the same rows again, forever.
        if len(rows) < size or gone == 0:
            return
