"""Work in batches, so that nobody waits long for the only writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, delete, select

from app.store.database import Store

T = TypeVar("T")
# Rows that a transaction removes: some 20 ms of the writer.
BATCH_ROWS = 1000


def in_batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield all items in order, ``size`` at a time."""
    return (list(items[first : first + size]) for first in range(0, len(items), size))


def first_within(rows: Sequence[T], limit: int, size_of: Callable[[T], int]) -> list[T]:
    """Return the first rows, at least one, that have at most so many bytes together."""
    size = 0
    for count, row in enumerate(rows):
        size += size_of(row)
        if count and size > limit:
            return list(rows[:count])
    return list(rows)


def delete_in_batches(store: Store, table: Table, old: Any, size: int = BATCH_ROWS) -> None:
    """Delete the rows that a condition names, in a transaction for each batch.

    They are chosen in a read, since a condition without an index has the whole table looked at.

    :param old: no ``IN`` of a list, since the condition is asked again for each row by itself.
    :param size: rows that a transaction deletes.
    """
    key = tuple(table.primary_key)
    some = select(*(column.label(f"key_{column.name}") for column in key)).where(old).limit(size)
    is_it = (column == bindparam(f"key_{column.name}", type_=column.type) for column in key)
    # Still as it was chosen: a row may have been written again since.
    removal = delete(table).where(*is_it, old)
    while True:
        with store.read() as conn:
            rows = [dict(row._mapping) for row in conn.execute(some)]
        gone = 0
        if rows:
            with store.write(durable=False) as conn:
                gone = conn.execute(removal, rows).rowcount
        # Where none went, choosing again would find the same ones for ever.
        if len(rows) < size or gone == 0:
            return
